//! What the machine says about itself where the measurements depend on it: caches and memory. Reads `/proc` and
//! `/sys`, never fails: what cannot be read is absent. What a record says of the machine is `splinter-stress`'s
//! `Environment`.

use std::fs;

/// One cache of the first processor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    /// 1 for the closest one.
    pub level: u32,
    /// "Data", "Instruction" or "Unified".
    pub kind: String,
    /// Its size.
    pub bytes: u64,
}

/// The machine that a measurement runs on, as far as the limits depend on it.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// Caches of the first processor.
    pub caches: Vec<Cache>,
}

impl Machine {
    /// Reads all of it.
    #[must_use]
    pub fn read() -> Self {
        Self { caches: caches() }
    }

    /// Returns the size of the data cache of a level, if it is known.
    #[must_use]
    pub fn cache_bytes(&self, level: u32) -> Option<u64> {
        self.caches
            .iter()
            .find(|cache| cache.level == level && cache.kind != "Instruction")
            .map(|cache| cache.bytes)
    }

    /// Returns the size of the largest cache, if any is known.
    #[must_use]
    pub fn last_level_bytes(&self) -> Option<u64> {
        self.caches.iter().map(|cache| cache.bytes).max()
    }
}

/// Returns the memory that could be had now without swapping, in bytes.
#[must_use]
pub fn available_memory() -> Option<u64> {
    meminfo("MemAvailable")
}

/// Returns the memory this process has resident, in bytes.
#[must_use]
pub fn resident_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    kibibytes(field(&status, "VmRSS")?)
}

/// Returns the load average over the last minute.
#[must_use]
pub fn load_average() -> Option<f64> {
    trimmed("/proc/loadavg")?.split(' ').next()?.parse().ok()
}

fn caches() -> Vec<Cache> {
    (0..16)
        .map_while(|index| {
            let read = |name| {
                trimmed(&format!(
                    "/sys/devices/system/cpu/cpu0/cache/index{index}/{name}"
                ))
            };
            Some(Cache {
                level: read("level")?.parse().ok()?,
                kind: read("type")?,
                bytes: size(&read("size")?)?,
            })
        })
        .collect()
}

fn meminfo(name: &str) -> Option<u64> {
    kibibytes(field(&fs::read_to_string("/proc/meminfo").ok()?, name)?)
}

fn trimmed(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

/// Finds the value of the first `name: value` line.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim())
    })
}

/// Reads "123 kB".
fn kibibytes(text: &str) -> Option<u64> {
    text.strip_suffix("kB")?
        .trim()
        .parse::<u64>()
        .ok()?
        .checked_mul(1024)
}

/// Reads "48K", "32M" or a plain count of bytes.
fn size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|unit: char| unit.is_ascii_alphabetic());
    let scale = match &text[digits.len()..] {
        "" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(scale)
}

#[cfg(test)]
mod tests {
    use super::{Cache, Machine, field, kibibytes, size};

    #[test]
    fn sizes_are_read_with_their_unit() {
        assert_eq!(size("48K"), Some(48 << 10));
        assert_eq!(size("32M"), Some(32 << 20));
        assert_eq!(size("1G"), Some(1 << 30));
        assert_eq!(size("512"), Some(512));
        assert_eq!(size("K"), None);
        assert_eq!(size("1T"), None);
        assert_eq!(kibibytes("24105 kB"), Some(24105 << 10));
        assert_eq!(kibibytes("24105"), None);
    }

    #[test]
    fn fields_are_found_by_their_name() {
        let text = "processor\t: 0\nmodel name\t: Some Processor @ 2: fast\nflags : a b\n";
        assert_eq!(field(text, "model name"), Some("Some Processor @ 2: fast"));
        assert_eq!(field(text, "absent"), None);
    }

    #[test]
    fn the_data_cache_of_a_level_is_not_its_instruction_cache() {
        let cache = |level, kind: &str, bytes| Cache {
            level,
            kind: kind.to_owned(),
            bytes,
        };
        let caches = vec![
            cache(1, "Instruction", 32),
            cache(1, "Data", 48),
            cache(2, "Unified", 1024),
        ];
        let machine = Machine { caches };
        assert_eq!(machine.cache_bytes(1), Some(48));
        assert_eq!(machine.cache_bytes(2), Some(1024));
        assert_eq!(machine.cache_bytes(3), None);
        assert_eq!(machine.last_level_bytes(), Some(1024));
    }
}
