//! Counters of any layer as one flat map, by way of their `Serialize`.

use serde::Serialize;
use serde_json::Value;

use super::Counters;

/// The counts of `counters`, a plain struct of numbers and of further such structs.
///
/// Fields of a nested struct are named `outer.inner`. What is not a count (texts, lists, flags,
/// absent values) has its own place in the status, and is left out here.
pub fn flatten(counters: &impl Serialize) -> Counters {
    let mut flat = Counters::new();
    if let Ok(value) = serde_json::to_value(counters) {
        collect("", &value, &mut flat);
    }
    flat
}

/// As [`flatten`], for several parts that each get a name of their own: `tap0.rx_frames`.
pub fn flatten_named<'a, T: Serialize + 'a>(
    parts: impl IntoIterator<Item = (&'a str, &'a T)>,
) -> Counters {
    let mut flat = Counters::new();
    for (name, part) in parts {
        if let Ok(value) = serde_json::to_value(part) {
            collect(name, &value, &mut flat);
        }
    }
    flat
}

fn collect(path: &str, value: &Value, flat: &mut Counters) {
    match value {
        Value::Number(number) => {
            if let Some(count) = number.as_u64() {
                flat.insert(path.to_owned(), count);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                collect(&path, field, flat);
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Inner {
        full: u64,
    }

    #[derive(Serialize)]
    struct Outer {
        frames: u64,
        name: &'static str,
        queue: Inner,
    }

    #[test]
    fn nested_counts_are_joined_by_a_dot_and_texts_left_out() {
        let outer = Outer { frames: 7, name: "gate", queue: Inner { full: 1 } };
        let expected = [("frames".to_owned(), 7), ("queue.full".to_owned(), 1)];
        assert_eq!(flatten(&outer), Counters::from(expected));
    }

    #[test]
    fn parts_are_told_apart_by_their_names() {
        let (one, two) = (Inner { full: 1 }, Inner { full: 2 });
        let expected = [("hb0.full".to_owned(), 2), ("tap0.full".to_owned(), 1)];
        assert_eq!(flatten_named([("tap0", &one), ("hb0", &two)]), Counters::from(expected));
    }
}
