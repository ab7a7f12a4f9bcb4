//! Bounds on what one event may weigh, so that foreign text cannot fill a record.
//!
//! Used by the journal on lines that are too large. What is cut says so and how much is missing.
//! It does not redact: events carry no credentials in the first place.

use serde_json::Value;

/// Largest line that is written or read, newline included.
pub(super) const LINE: usize = 1 << 20;
/// Largest journal that is read.
pub(super) const JOURNAL: u64 = 1 << 30;
/// Largest CycloneDX or summary file that is read.
pub(super) const DOCUMENT: u64 = 1 << 28;

/// Longest text that stays whole in a line that had to be cut.
const TEXT: usize = 4096;
/// Longest list that stays whole in a line that had to be cut.
const LIST: usize = 64;

/// Cuts long texts and lists anywhere in the value.
pub(super) fn shorten(value: &mut Value) {
    match value {
        Value::String(text) => shorten_text(text),
        Value::Array(items) => {
            let missing = items.len().saturating_sub(LIST);
            items.truncate(LIST);
            items.iter_mut().for_each(shorten);
            if missing > 0 {
                items.push(Value::String(format!(
                    "… {missing} more, left out of the record"
                )));
            }
        }
        Value::Object(fields) => fields.values_mut().for_each(shorten),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn shorten_text(text: &mut String) {
    if text.len() <= TEXT {
        return;
    }
    let mut end = TEXT;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let missing = text.len() - end;
    text.truncate(end);
    text.push_str(&format!("… {missing} bytes more, left out of the record"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_at_a_character_and_say_so() {
        let mut value = serde_json::json!({"a": ["ä".repeat(3 * TEXT)], "n": 1});
        shorten(&mut value);
        let text = value["a"][0].as_str().unwrap();
        assert!(text.len() < TEXT + 100);
        assert!(
            text.ends_with("bytes more, left out of the record"),
            "{text}"
        );
        assert_eq!(value["n"], 1);
    }

    #[test]
    fn long_lists_are_cut_and_say_so() {
        let mut value = serde_json::json!(vec!["x"; 2 * LIST]);
        shorten(&mut value);
        assert_eq!(value.as_array().unwrap().len(), LIST + 1);
        assert_eq!(
            value[LIST],
            format!("… {LIST} more, left out of the record")
        );
    }
}
