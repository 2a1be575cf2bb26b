//! Lists of processors as the kernel writes them: `0-3,8`.

/// Highest number that a list may have: more processors or nodes than any machine has.
const HIGHEST: usize = 65_535;

/// Parses a list such as `0-3,8`. The order given is kept: it is the order in which workers are
/// placed.
///
/// # Errors
/// One line that says what is wrong with the text. An empty list is one.
pub fn parse(text: &str) -> Result<Vec<usize>, String> {
    let number = |part: &str| {
        part.trim().parse::<usize>().ok().filter(|&cpu| cpu <= HIGHEST).ok_or_else(|| {
            format!(
                "'{}' in '{text}' is no processor: give numbers from 0 to {HIGHEST}, as in \
                 0-3,8",
                part.trim()
            )
        })
    };
    let mut cpus = Vec::new();
    for part in text.split(',') {
        match part.split_once('-') {
            None => cpus.push(number(part)?),
            Some((first, last)) => {
                let (first, last) = (number(first)?, number(last)?);
                if first > last {
                    return Err(format!("'{part}' runs backwards: write {last}-{first}"));
                }
                cpus.extend(first..=last);
            }
        }
    }
    Ok(cpus)
}

/// Prints processors in the same form, runs shortened.
#[must_use]
pub fn print(cpus: &[usize]) -> String {
    let mut parts = Vec::new();
    let mut at = 0;
    while at < cpus.len() {
        let mut end = at;
        while end + 1 < cpus.len() && cpus[end + 1] == cpus[end] + 1 {
            end += 1;
        }
        parts.push(if end == at { cpus[at].to_string() } else { format!("{}-{}", cpus[at], cpus[end]) });
        at = end + 1;
    }
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_round_trip() {
        for text in ["0", "0-3,8", "8,0-1,4", "5,3"] {
            assert_eq!(print(&parse(text).unwrap()), text);
        }
        assert_eq!(parse("1-3, 7").unwrap(), [1, 2, 3, 7]);
        assert_eq!(parse("1535").unwrap(), [1535]);
    }

    #[test]
    fn nonsense_is_refused_in_one_line() {
        for text in ["", "a", "3-1", "1-", "-2", "1,,2", "99999"] {
            let error = parse(text).unwrap_err();
            assert!(!error.contains('\n') && !error.is_empty(), "{text}");
        }
    }
}
