//! The JSON Schema of policy files, made from the types that read them.
//!
//! The types of [`super::raw`] are read once from a reader that has no text: it answers whatever it is
//! asked for and notes what that was, so that names, nesting and the refusal of unknown keys are those of
//! the program. What a value may be beyond its type, and what it is for, is written down here by key.
//! It is a help for editors: v4run itself checks more. JSON Schema draft 2020-12.

use std::fmt::Display;

use serde::de::value::{BorrowedStrDeserializer, StrDeserializer};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize as _, forward_to_deserialize_any};
use serde_json::{Map, Value, json};

use super::policy::REFUSABLE;
use super::raw::RawPolicy;
use crate::model::{Level, LookMode};

/// What keys are for, by the key alone or after the table that it stands in.
const TEXTS: [(&str, &str); 53] = [
    (
        "level",
        "The run fails unless this level of SCVS V4 is at least supported.",
    ),
    (
        "store",
        "Where verified artifacts are kept; an absolute path, not for a project to say.",
    ),
    (
        "look",
        "How far the static look into artifacts goes, and whether it refuses.",
    ),
    (
        "lockdown",
        "System policy only: projects can then only ask for more.",
    ),
    (
        "passthrough",
        "System policy only: whether shims hand on what runs code by design; without a lockdown they do.",
    ),
    (
        "refuse",
        "Findings that are refused and are notes otherwise.",
    ),
    (
        "minimum-release-age",
        "Versions younger than this are left out, as in \"7 days\".",
    ),
    (
        "trust-root",
        "A Sigstore trust root in place of the built-in one; an absolute path.",
    ),
    (
        "repositories",
        "Repositories that are allowed beside those of user and system configuration.",
    ),
    (
        "repositories.url",
        "Address below which the repository lies.",
    ),
    (
        "repositories.origin",
        "Address of the repository that this one mirrors.",
    ),
    (
        "repositories.inherits",
        "The protocol whose default repository's known facts count for it.",
    ),
    ("managers", "Package managers by name."),
    (
        "managers.path",
        "The program that is the package manager; an absolute path.",
    ),
    ("artifacts", "Files that are accepted by their digest."),
    ("artifacts.file", "File name, without directories."),
    ("artifacts.url", "Address of exactly this file."),
    ("pins", "Which repository alone may speak for a name."),
    ("approvals", "Code that may be loaded, by its digest."),
    ("approvals.purl", "Package URL of what is approved."),
    (
        "builds",
        "Components that may run code once, in a sandbox without network.",
    ),
    ("builds.purl", "Package URL of the component."),
    (
        "builds.digest",
        "Digest of its artifact, as in lockfiles: \"sha512-…\".",
    ),
    (
        "builds.toolchain",
        "Directories that it may execute programs from: absolute, or relative to the project.",
    ),
    (
        "builds.platform",
        "The platform that it counts on, as in \"linux-x86_64\".",
    ),
    (
        "builds.headers",
        "Directory with the headers for native modules; an absolute path.",
    ),
    (
        "builds.requires",
        "Requirements of the build in place of its own, in the words of its ecosystem; with pip.",
    ),
    ("builds.limits", "What it may use."),
    ("seconds", "Longest time."),
    (
        "cpu-seconds",
        "Most processor time, all processes together.",
    ),
    ("memory-mib", "Most memory, all processes together."),
    ("processes", "Most processes and threads, living or not."),
    ("file-mib", "Largest file."),
    ("disk-mib", "Most disk space beyond what was used before."),
    (
        "facts",
        "What is known of a repository of your own; counts for 180 days at most.",
    ),
    ("facts.holds", "Whether the control is met."),
    ("facts.statement", "What is known, in a sentence."),
    ("facts.source", "Who says so, and where."),
    (
        "facts.checked",
        "The day on which it was looked at, as in 2026-10-01.",
    ),
    (
        "facts.compensated-by",
        "What stands in for a control that is not met.",
    ),
    (
        "exceptions",
        "Gaps that somebody answers for; told in every output.",
    ),
    (
        "exceptions.package",
        "The package that may be younger, in the place of a control.",
    ),
    (
        "signing-keys",
        "Keys of an origin, in place of built-in ones.",
    ),
    (
        "signing-keys.origin",
        "Address of the repository that signs with it.",
    ),
    ("signing-keys.id", "The key as signatures name it."),
    ("signing-keys.key", "Subject public key info, base64."),
    (
        "signing-keys.usage",
        "What the key may sign; both when it is missing.",
    ),
    ("sources", "From where a package may be built."),
    ("sources.repository", "Address of the source repository."),
    (
        "publisher-keys",
        "OpenPGP keys of publishers of Maven artifacts.",
    ),
    (
        "publisher-keys.fingerprint",
        "Of a primary key or subkey; blanks do not count.",
    ),
    ("publisher-keys.key", "The key, armored."),
    ("control", "Number of the control, as in \"4.12\"."),
];

/// The same in every table.
const COMMON: [(&str, &str); 9] = [
    ("name", "A name, as the repository has it."),
    ("prefix", "The beginning of names."),
    ("repository", "Address of the repository."),
    ("sha256", "SHA-256 of the bytes, hexadecimal."),
    ("owner", "Who answers for it."),
    ("reason", "Why."),
    (
        "expires",
        "The last day on which it counts, as in 2026-12-31.",
    ),
    ("start", "From when on it counts."),
    ("end", "Until when it counts."),
];

/// Tables that name one thing by either of two keys.
const EITHER: [(&str, [&str; 2]); 4] = [
    ("pins", ["name", "prefix"]),
    ("sources", ["name", "prefix"]),
    ("publisher-keys", ["name", "prefix"]),
    ("exceptions", ["control", "package"]),
];

/// The schema of `v4run.toml` and of `/etc/v4run/policy.toml`.
pub fn schema() -> Value {
    let mut schema = Value::Null;
    let mut optional = false;
    // Whatever stopped it has left the schema as far as it came; the tests see that nothing does.
    let _ = RawPolicy::deserialize(Shape {
        schema: &mut schema,
        optional: &mut optional,
    });
    describe(&mut schema, "");
    if let Some(schema) = schema.as_object_mut() {
        let draft = "https://json-schema.org/draft/2020-12/schema";
        schema.insert("$schema".to_owned(), draft.into());
        schema.insert("title".to_owned(), "Policy of v4run".into());
    }
    schema
}

/// Adds what types do not say to a table's schema and those below it.
fn describe(schema: &mut Value, table: &str) {
    let either = EITHER.iter().find(|(name, _)| *name == table);
    if let (Some((_, [one, other])), Some(schema)) = (either, schema.as_object_mut()) {
        let either = json!([{ "required": [one] }, { "required": [other] }]);
        schema.insert("oneOf".to_owned(), either);
    }
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else {
        return;
    };
    for (key, value) in properties {
        let path = match table {
            "" => key.clone(),
            table => format!("{table}.{key}"),
        };
        for below in ["items", "additionalProperties"] {
            if let Some(below) = value.get_mut(below) {
                describe(below, &path);
            }
        }
        // A table in a table.
        if value.get("properties").is_some() {
            describe(value, &path);
        }
        let Some(value) = value.as_object_mut() else {
            continue;
        };
        if let Some(text) = text(&path, key) {
            value.insert("description".to_owned(), text.into());
        }
        match (path.as_str(), key.as_str()) {
            ("level", _) => {
                let levels = Level::ALL.map(|level| Value::from(level.to_string()));
                value.insert("enum".to_owned(), levels.to_vec().into());
            }
            ("look", _) => {
                let modes = LookMode::ALL.map(|mode| Value::from(mode.name()));
                value.insert("enum".to_owned(), modes.to_vec().into());
            }
            ("refuse", _) => {
                let codes = REFUSABLE.map(|code| Value::from(code.name()));
                value.insert("items".to_owned(), json!({ "enum": codes.to_vec() }));
            }
            (_, "sha256") => {
                value.insert("pattern".to_owned(), "^[0-9a-fA-F]{64}$".into());
            }
            _ => {}
        }
    }
}

fn text(path: &str, key: &str) -> Option<&'static str> {
    let by = |table: &'static [(&'static str, &'static str)], name: &str| {
        let mut entries = table.iter();
        entries
            .find(|(entry, _)| *entry == name)
            .map(|(_, text)| *text)
    };
    by(&TEXTS, path)
        .or_else(|| by(&COMMON, key))
        .or_else(|| by(&TEXTS, key))
}

/// Notes what a type asks for.
struct Shape<'a> {
    schema: &'a mut Value,
    /// Whether the value may be missing.
    optional: &'a mut bool,
}

/// A type asked for something that no policy has.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Stopped(String);

impl de::Error for Stopped {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

impl<'de> Deserializer<'de> for Shape<'_> {
    type Error = Stopped;

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Stopped> {
        Err(Stopped("a type that does not say what it is".to_owned()))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stopped> {
        *self.schema = json!({ "type": "boolean" });
        visitor.visit_bool(false)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stopped> {
        *self.schema = json!({ "type": "integer", "minimum": 1 });
        visitor.visit_u32(0)
    }

    // Positions, which toml gives beside values.
    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stopped> {
        visitor.visit_u64(0)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stopped> {
        *self.schema = json!({ "type": "string" });
        visitor.visit_str("")
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stopped> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stopped> {
        *self.optional = true;
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stopped> {
        *self.optional = true;
        let mut items = Value::Null;
        let value = visitor.visit_seq(One(Some(&mut items)))?;
        *self.schema = json!({ "type": "array", "items": items });
        Ok(value)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stopped> {
        *self.optional = true;
        let mut below = Value::Null;
        let value = visitor.visit_map(Named(Some(&mut below)))?;
        *self.schema = json!({ "type": "object", "additionalProperties": below });
        Ok(value)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stopped> {
        let mut seen = Fields {
            names: fields.iter(),
            name: "",
            properties: Map::new(),
            required: Vec::new(),
        };
        let value = visitor.visit_map(&mut seen)?;
        // A value with its position in the text is that value.
        let spanned =
            |(name, _): &(&String, &Value)| name.starts_with('$') && name.ends_with("_value");
        if let Some((_, inner)) = seen.properties.iter().find(spanned) {
            *self.schema = inner.clone();
            return Ok(value);
        }
        *self.schema = json!({
            "type": "object",
            "properties": seen.properties,
            "required": seen.required,
            "additionalProperties": false,
        });
        Ok(value)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stopped> {
        *self.schema = json!({ "enum": variants });
        let first = variants.first().copied().unwrap_or_default();
        visitor.visit_enum(StrDeserializer::new(first))
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u128 f32 f64 char bytes byte_buf unit unit_struct
        newtype_struct tuple tuple_struct identifier ignored_any
    }
}

/// Every field of a struct, once.
struct Fields {
    names: std::slice::Iter<'static, &'static str>,
    name: &'static str,
    properties: Map<String, Value>,
    required: Vec<Value>,
}

impl<'de> MapAccess<'de> for &mut Fields {
    type Error = Stopped;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Stopped> {
        let Some(name) = self.names.next() else {
            return Ok(None);
        };
        self.name = name;
        seed.deserialize(BorrowedStrDeserializer::new(name))
            .map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Stopped> {
        let (mut schema, mut optional) = (Value::Null, false);
        let value = seed.deserialize(Shape {
            schema: &mut schema,
            optional: &mut optional,
        })?;
        if !optional {
            self.required.push(self.name.into());
        }
        self.properties.insert(self.name.to_owned(), schema);
        Ok(value)
    }
}

/// A list of one.
struct One<'a>(Option<&'a mut Value>);

impl<'de> SeqAccess<'de> for One<'_> {
    type Error = Stopped;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Stopped> {
        let Some(schema) = self.0.take() else {
            return Ok(None);
        };
        let optional = &mut false;
        seed.deserialize(Shape { schema, optional }).map(Some)
    }
}

/// A table with one key that the caller chooses.
struct Named<'a>(Option<&'a mut Value>);

impl<'de> MapAccess<'de> for Named<'_> {
    type Error = Stopped;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Stopped> {
        match self.0 {
            Some(_) => seed.deserialize(StrDeserializer::new("name")).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Stopped> {
        let schema = self.0.take();
        let schema = schema.ok_or_else(|| Stopped("a value without a key".to_owned()))?;
        let optional = &mut false;
        seed.deserialize(Shape { schema, optional })
    }
}

#[cfg(test)]
mod tests {
    use super::super::raw;
    use super::*;

    /// Every table of the schema with the TOML that stands before its keys.
    fn tables(schema: &Value) -> Vec<(String, &Value)> {
        let mut found = vec![(String::new(), schema)];
        for (key, value) in schema["properties"].as_object().unwrap() {
            if value["items"]["properties"].is_object() {
                found.push((format!("[[{key}]]\n"), &value["items"]));
            } else if value["additionalProperties"].is_object() {
                found.push((format!("[{key}.npm]\n"), &value["additionalProperties"]));
            }
        }
        found
    }

    fn sample(key: &str, property: &Value) -> String {
        match (property["type"].as_str(), property["enum"].as_array()) {
            (_, Some(words)) => format!("{key} = {}\n", words[0]),
            (Some("boolean"), _) => format!("{key} = true\n"),
            (Some("array"), _) => format!("{key} = []\n"),
            (Some("integer"), _) => format!("{key} = 1\n"),
            (Some("object"), _) => format!("{key} = {{}}\n"),
            _ => format!("{key} = \"x\"\n"),
        }
    }

    fn loads(text: &str) -> bool {
        raw::parse::<RawPolicy>(text).is_ok()
    }

    #[test]
    fn every_key_is_read_as_the_schema_says() {
        let schema = schema();
        let tables = tables(&schema);
        assert_eq!(tables.len(), 12, "{schema:#}");
        for (head, table) in tables {
            assert_eq!(table["additionalProperties"], false, "{head}");
            let properties = table["properties"].as_object().unwrap();
            let required = table["required"].as_array().unwrap();
            let lines = |without: &str| -> String {
                let kept = properties.iter().filter(|(key, _)| *key != without);
                let lines: String = kept.map(|(key, one)| sample(key, one)).collect();
                format!("{head}{lines}")
            };
            assert!(loads(&lines("")), "{}", lines(""));
            assert!(!loads(&format!("{}no-such-key = 1\n", lines(""))), "{head}");
            for key in properties.keys() {
                let needed = required.iter().any(|one| one == key);
                assert_eq!(!loads(&lines(key)), needed, "{head}{key}");
            }
        }
    }

    #[test]
    fn every_key_has_a_text_and_every_text_a_key() {
        let schema = schema();
        let mut keys = 0;
        for (head, table) in tables(&schema) {
            for (key, value) in table["properties"].as_object().unwrap() {
                assert!(value["description"].is_string(), "{head}{key}");
                keys += 1;
            }
        }
        assert!(keys > 45, "{keys}");
        let mut tables = tables(&schema);
        let limits = &schema["properties"]["builds"]["items"]["properties"]["limits"];
        tables.push((String::new(), limits));
        let used = |text: &str| {
            tables.iter().any(|(_, table)| {
                let mut properties = table["properties"].as_object().unwrap().values();
                properties.any(|one| one["description"] == text)
            })
        };
        for (key, text) in TEXTS.iter().chain(&COMMON) {
            assert!(used(text), "{key}");
        }
    }

    #[test]
    fn words_are_those_that_the_policy_takes() {
        let schema = schema();
        assert_eq!(schema["properties"]["level"]["enum"][2], "L3");
        assert_eq!(
            schema["properties"]["look"]["enum"]
                .as_array()
                .unwrap()
                .len(),
            4
        );
        let keys = &schema["properties"]["signing-keys"]["items"]["properties"];
        assert_eq!(keys["usage"]["enum"][0], "signatures", "{keys:#}");
    }
}
