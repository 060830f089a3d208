//! Masks for user names: `*` stands for any number of characters, `?` for one; upper and lower case are the same.

/// Whether a name is a mask: it stands for all users whose names fit.
pub(crate) fn is_mask(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// Whether a name fits.
pub(crate) fn matches(mask: &str, name: &str) -> bool {
    let mask: Vec<char> = mask.chars().flat_map(char::to_lowercase).collect();
    let name: Vec<char> = name.chars().flat_map(char::to_lowercase).collect();
    // Where to go on if what follows the last `*` does not fit: behind that star, and one character further in the name.
    let mut retry: Option<(usize, usize)> = None;
    let (mut in_mask, mut in_name) = (0, 0);
    while let Some(character) = name.get(in_name) {
        match mask.get(in_mask) {
            Some('*') => {
                in_mask += 1;
                retry = Some((in_mask, in_name));
            }
            Some(wanted) if *wanted == '?' || wanted == character => {
                in_mask += 1;
                in_name += 1;
            }
            _ => {
                let Some((behind_star, begun)) = retry else { return false };
                retry = Some((behind_star, begun + 1));
                (in_mask, in_name) = (behind_star, begun + 1);
            }
        }
    }
    mask.iter().skip(in_mask).all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn masks_fit_names() {
        for (mask, name) in [
            ("*", ""),
            ("*", "joe"),
            ("j?e", "JOE"),
            ("A*@Example.org", "anna@example.ORG"),
            ("*a*b*", "xxaxxbxx"),
            ("a*ab", "aaab"),
            ("**", "x"),
            ("Ä?", "äé"),
        ] {
            assert!(matches(mask, name), "{mask} {name}");
        }
        for (mask, name) in [("", "a"), ("?", ""), ("j?e", "jooe"), ("a*@x", "b@x"), ("a*b", "abc"), ("*a", "b")] {
            assert!(!matches(mask, name), "{mask} {name}");
        }
        assert!(is_mask("a*") && is_mask("?") && !is_mask("joe@example.org"));
    }

    #[test]
    fn many_stars_take_no_time() {
        assert!(!matches(&"*a".repeat(200), &"b".repeat(20_000)));
        assert!(!matches(&format!("{}c", "a*".repeat(200)), &"a".repeat(5_000)));
    }

    /// What a mask means, by definition.
    fn plainly(mask: &[char], name: &[char]) -> bool {
        match (mask.split_first(), name.split_first()) {
            (None, None) => true,
            (Some(('*', rest)), _) if plainly(rest, name) => true,
            (Some(('*', _)), Some((_, shorter))) => plainly(mask, shorter),
            (Some((wanted, rest)), Some((character, shorter))) if *wanted == '?' || wanted == character => {
                plainly(rest, shorter)
            }
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn they_mean_what_the_definition_says(mask in "[ab*?]{0,8}", name in "[ab]{0,8}") {
            let (left, right): (Vec<_>, Vec<_>) = (mask.chars().collect(), name.chars().collect());
            prop_assert_eq!(matches(&mask, &name), plainly(&left, &right));
        }
    }
}
