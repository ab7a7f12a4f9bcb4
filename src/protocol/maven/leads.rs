//! What a POM leads to: the POMs that Maven will probably ask for next, and the jar that it describes.
//!
//! Called by the proxy with a POM that was verified, so that the next ones are fetched while Maven still
//! reads this one; it asks for one after the other. Read is what stands in the POM itself: parent,
//! imports, and dependencies whose version it states. What a parent manages is not known here. A wrong
//! guess costs a request, and nothing follows from a right one.
//! <https://maven.apache.org/ref/3.8.7/maven-model/maven.html>.

use std::collections::{BTreeMap, BTreeSet};

use url::Url;

use crate::model::maven::{self, Coordinates};
use crate::model::xml::{Element, Text};
use crate::protocol::Leads;

/// Larger ones are lists of versions, of which few are asked for.
const LIMIT: usize = 256 * 1024;

/// Packagings whose file is a jar.
const JARS: [&str; 6] = [
    "jar",
    "bundle",
    "maven-plugin",
    "eclipse-plugin",
    "ejb",
    "test-jar",
];

/// POMs that one leads to.
const MOST: usize = 64;

/// What the POM at that address leads to.
pub(super) fn of(base: &Url, url: &Url, body: &[u8]) -> Leads {
    let read = || {
        let stem = url.path().strip_suffix(".pom")?;
        if body.len() > LIMIT {
            return None;
        }
        let text = Text::decode(body).ok()?;
        let tree = text.tree("project").ok()?;
        let root = tree.root();
        let all = paths(root).into_iter().take(MOST);
        Some(Leads {
            descriptions: all.filter_map(|path| base.join(&path).ok()).collect(),
            described: described(url, stem, root),
        })
    };
    read().unwrap_or_default()
}

/// The jar of the version that a POM describes. Other packagings have no file, or one of another
/// ending; to guess costs a request.
fn described(url: &Url, stem: &str, root: Element<'_>) -> Option<Url> {
    let packaging = root.value("packaging");
    let packed = JARS.contains(&packaging.as_deref().unwrap_or("jar"));
    packed.then(|| {
        let mut jar = url.clone();
        jar.set_path(&format!("{stem}.jar"));
        jar
    })
}

fn paths(root: Element<'_>) -> BTreeSet<String> {
    let properties = properties(root);
    let mut found = BTreeSet::new();
    if let Some(parent) = root.child("parent") {
        found.extend(path(parent, &properties, None));
    }
    let mut managed = BTreeMap::new();
    for list in root.all("dependencyManagement") {
        for one in list.list("dependencies", "dependency") {
            if one.value("scope").as_deref() == Some("import") {
                found.extend(path(one, &properties, None));
            } else if let Some(version) = one.value("version") {
                managed.insert(name(one), version.into_owned());
            }
        }
    }
    for one in root.list("dependencies", "dependency") {
        let scope = one.value("scope");
        let followed = matches!(scope.as_deref(), None | Some("compile" | "runtime"));
        let optional = one.value("optional").is_some_and(|text| text == "true");
        if followed && !optional {
            let version = managed.get(&name(one)).map(String::as_str);
            found.extend(path(one, &properties, version));
        }
    }
    found
}

fn name(element: Element<'_>) -> (String, String) {
    let value = |name: &str| element.value(name).unwrap_or_default().into_owned();
    (value("groupId"), value("artifactId"))
}

/// The properties that the POM states itself.
fn properties(root: Element<'_>) -> BTreeMap<String, String> {
    let mut properties = BTreeMap::new();
    for property in root.all("properties").flat_map(Element::children) {
        let text = property.text().into_owned();
        properties.insert(property.name().to_owned(), text);
    }
    for key in ["groupId", "version"] {
        let own = root.value(key);
        let value = own.or_else(|| root.child("parent")?.value(key));
        for prefix in ["project", "pom"] {
            let value = value.clone().map(|value| value.into_owned());
            properties.extend(value.map(|value| (format!("{prefix}.{key}"), value)));
        }
    }
    properties
}

/// A text with properties put in; nothing when one is not known.
fn resolved(text: &str, properties: &BTreeMap<String, String>) -> Option<String> {
    let mut text = text.to_owned();
    // One may stand in another; a circle ends after as many steps.
    for _ in 0..4 {
        let Some((before, rest)) = text.split_once("${") else {
            return Some(text);
        };
        let (key, after) = rest.split_once('}')?;
        text = format!("{before}{}{after}", properties.get(key)?);
    }
    None
}

/// The path of the POM that an element names. A version that is stated elsewhere holds when the element
/// states none.
fn path(
    element: Element<'_>,
    properties: &BTreeMap<String, String>,
    elsewhere: Option<&str>,
) -> Option<String> {
    let value = |name: &str| resolved(&element.value(name)?, properties);
    let (group, artifact) = (value("groupId")?, value("artifactId")?);
    let version = value("version").or_else(|| resolved(elsewhere?, properties))?;
    let plain = group.split('.').all(maven::is_name) && maven::is_name(&artifact);
    let fixed = maven::is_version(&version)
        && !maven::is_changing(&version)
        && !matches!(version.as_str(), "LATEST" | "RELEASE");
    (plain && fixed).then(|| {
        Coordinates {
            group,
            artifact,
            base: version.clone(),
            version,
            classifier: None,
            extension: "pom".to_owned(),
        }
        .path()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pom_leads_to_what_it_names_with_a_version() {
        let one = |artifact: &str, more: &str| {
            format!(
                "<dependency><groupId>g.h</groupId><artifactId>{artifact}</artifactId>{more}\
                 </dependency>"
            )
        };
        let pom = format!(
            "<project><parent><groupId>g</groupId><artifactId>up</artifactId><version>1</version>\
             </parent><properties><v>2</v></properties><dependencyManagement><dependencies>{}{}\
             </dependencies></dependencyManagement><dependencies>{}</dependencies></project>",
            one(
                "bom",
                "<version>3</version><type>pom</type><scope>import</scope>"
            ),
            one("managed", "<version>${v}</version>"),
            [
                one("managed", ""),
                one("own", "<version>${project.version}</version>"),
                one("elsewhere", ""),
                one("unknown", "<version>${w}</version>"),
                one("test", "<version>1</version><scope>test</scope>"),
                one("optional", "<version>1</version><optional>true</optional>"),
                one("range", "<version>[1,2)</version>"),
                one("latest", "<version>LATEST</version>"),
                one("changing", "<version>1-SNAPSHOT</version>"),
                one("..", "<version>1</version>"),
            ]
            .concat()
        );
        let base = Url::parse("https://r.invalid/m/").unwrap();
        let url = base.join("g/x/1/x-1.pom").unwrap();
        let found: Vec<String> = of(&base, &url, pom.as_bytes())
            .descriptions
            .into_iter()
            .map(|url| url.path().to_owned())
            .collect();
        assert_eq!(
            found,
            [
                "/m/g/h/bom/3/bom-3.pom",
                "/m/g/h/managed/2/managed-2.pom",
                "/m/g/h/own/1/own-1.pom",
                "/m/g/up/1/up-1.pom",
            ]
        );
        let jar = base.join("x.jar").unwrap();
        for (url, body) in [(&jar, pom.as_bytes()), (&url, b"<!DOCTYPE x []><project/>")] {
            assert!(of(&base, url, body).descriptions.is_empty());
        }
    }

    #[test]
    fn a_pom_describes_its_jar_unless_it_says_otherwise() {
        let url = Url::parse("https://r.invalid/m/g/x/1/x-1.pom").unwrap();
        let described =
            |url: &Url, body: &[u8]| super::of(&url.join("/m/").unwrap(), url, body).described;
        let of = |packaging: &str| {
            let body = format!("<project>{packaging}</project>");
            described(&url, body.as_bytes()).map(|url| url.path().to_owned())
        };
        let jar = Some("/m/g/x/1/x-1.jar".to_owned());
        assert_eq!(of(""), jar);
        assert_eq!(of("<packaging>bundle</packaging>"), jar);
        assert_eq!(of("<packaging>pom</packaging>"), None);
        assert_eq!(of("<packaging>war</packaging>"), None);
        let other = url.join("x-1.jar").unwrap();
        assert_eq!(described(&other, b"<project/>"), None);
        assert_eq!(described(&url, b"no document"), None);
    }
}
