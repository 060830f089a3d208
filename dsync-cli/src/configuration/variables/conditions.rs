//! Comparisons in variables.

use super::VariableError;

/// Whether `left OPERATOR right` holds.
pub(super) fn holds(left: &[u8], operator: &str, right: &[u8]) -> Result<bool, VariableError> {
    let number = |bytes: &[u8]| -> Result<i128, VariableError> {
        let text = String::from_utf8_lossy(bytes);
        text.parse().map_err(|_| VariableError::Syntax(format!("{text} {operator}: a number is needed")))
    };
    Ok(match operator {
        "==" => number(left)? == number(right)?,
        "!=" => number(left)? != number(right)?,
        "<" => number(left)? < number(right)?,
        "<=" => number(left)? <= number(right)?,
        ">" => number(left)? > number(right)?,
        ">=" => number(left)? >= number(right)?,
        "eq" => left == right,
        "ne" => left != right,
        "lt" => left < right,
        "le" => left <= right,
        "gt" => left > right,
        "ge" => left >= right,
        "*" => matches(right, left),
        "!*" => !matches(right, left),
        "~" | "!~" => return Err(VariableError::Unsupported(format!("the operator {operator}"))),
        _ => return Err(VariableError::Syntax(operator.to_owned())),
    })
}

/// Whether a text matches a pattern in which `*` stands for anything and `?` for one byte. Goes back to the last `*`
/// only, so that it takes no more than the product of both lengths.
pub(in super::super) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut position) = (0, 0);
    let mut last_star = None;
    while position < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                last_star = Some((at, position));
                at += 1;
            }
            Some(wanted) if *wanted == b'?' || text.get(position) == Some(wanted) => {
                at += 1;
                position += 1;
            }
            _ => match last_star {
                Some((star, from)) => {
                    last_star = Some((star, from + 1));
                    at = star + 1;
                    position = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_texts() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("*", "", true),
            ("?", "", false),
            ("a*c", "abbc", true),
            ("a*c", "abcb", false),
            ("*ab*ab", "xababxab", true),
            ("a?c*", "abc", true),
            ("a", "ab", false),
            ("**x", "xx", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn numbers_and_texts_are_compared_as_such() {
        for (left, operator, right, expected) in [
            ("10", ">", "9", true),
            ("10", "gt", "9", false),
            ("1", "==", "01", true),
            ("1", "eq", "01", false),
            ("joe", "*", "j*", true),
            ("joe", "!*", "j*", false),
            ("a", "le", "a", true),
            ("2", "<=", "1", false),
        ] {
            assert_eq!(holds(left.as_bytes(), operator, right.as_bytes()), Ok(expected), "{left} {operator} {right}");
        }
        assert!(holds(b"x", "<", b"1").is_err() && holds(b"x", "~", b"x").is_err() && holds(b"", "", b"").is_err());
    }
}
