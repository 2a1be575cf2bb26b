//! What `--only` and its like mean, everywhere: a part of a name, in any case.

/// Tells whether a name contains a part, where one is given.
#[must_use]
pub fn wants(part: Option<&str>, name: &str) -> bool {
    part.is_none_or(|part| name.to_lowercase().contains(&part.to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::wants;

    #[test]
    fn a_part_is_found_in_any_case_and_none_is_in_every_name() {
        assert!(wants(Some("l2"), "L2 chase") && wants(Some("CHASE"), "L2 chase"));
        assert!(!wants(Some("l3"), "L2 chase"));
        assert!(wants(None, "L2 chase"));
    }
}
