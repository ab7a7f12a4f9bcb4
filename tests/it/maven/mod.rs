//! Maven projects for the suite: a POM, a user whose settings name the registry, and jars made here.
//!
//! Maven and its plugins are the machine's own; the repository serves the artifacts that came with
//! them and the tests' additions. Bare Maven trusts the test's registry by the switches that v4run
//! refuses. Where it does not matter which plugin resolves, one of the tests' own does, in a twentieth
//! of the requests: it opens every artifact and prints its name. Its bytes are approved.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::project::{Project, program, tree};
use crate::registry::Registry;
use crate::run::Invocation;

pub(crate) mod jar;

use jar::Jar;

/// What `dependency:resolve` is for most tests: the goal of the tests' own plugin.
pub(crate) const RESOLVE: &str = "org.apache.maven.plugins:maven-dependency-plugin:0.test:resolve";

/// The goal of the system's plugin, found by its prefix.
pub(crate) const REAL: &str = "dependency:resolve@real";

/// The virtual machine spends its time on compiling itself otherwise.
pub(crate) const MACHINE: &str = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto";

/// An entry of a policy.
pub(crate) fn approval(name: &str, bytes: &[u8]) -> String {
    let parts: Vec<&str> = name.split(':').collect();
    format!(
        "[[approvals]]\npurl = \"pkg:maven/{}/{}@{}\"\nsha256 = \"{}\"\nowner = \"suite\"\n\
         reason = \"a test\"\n",
        parts[0],
        parts[1],
        parts[2],
        hex::encode(Sha256::digest(bytes))
    )
}

/// The words of a command with the goal of the tests' own plugin.
fn words(arguments: &[&str]) -> impl Iterator<Item = OsString> {
    arguments.iter().map(|word| match *word {
        "dependency:resolve" => RESOLVE.into(),
        other => other.into(),
    })
}

/// A project with its surroundings.
pub(crate) struct Maven {
    pub(crate) project: Project,
}

/// A file in the form of a dependency of a POM.
pub(crate) fn dependency(name: &str, more: &str) -> String {
    let parts: Vec<&str> = name.split(':').collect();
    format!(
        "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version>{more}\
         </dependency>",
        parts[0], parts[1], parts[2]
    )
}

/// A POM of that name with elements of its own.
pub(crate) fn pom(name: &str, body: &str) -> String {
    let parts: Vec<&str> = name.split(':').collect();
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n<modelVersion>4.0.0</modelVersion>\n\
         <groupId>{}</groupId>\n<artifactId>{}</artifactId>\n<version>{}</version>\n{body}\n\
         </project>\n",
        parts[0], parts[1], parts[2]
    )
}

/// Path of a file of an artifact in a repository.
pub(crate) fn path(name: &str, ending: &str) -> String {
    let parts: Vec<&str> = name.split(':').collect();
    let group = parts[0].replace('.', "/");
    let (artifact, version) = (parts[1], parts[2]);
    format!("{group}/{artifact}/{version}/{artifact}-{version}.{ending}")
}

/// Publishes an artifact with a POM of its own.
pub(crate) fn publish(registry: &Registry, name: &str, body: &str, jar: &Jar) {
    registry.put(&path(name, "pom"), pom(name, body));
    registry.put(&path(name, "jar"), jar.build());
}

impl Maven {
    /// A project with these elements in its POM.
    pub(crate) fn new(registry: &Registry, body: &str) -> Self {
        let project = Project::new(registry);
        fs::remove_file(project.path("package.json")).unwrap();
        // Some of the system's plugins name nothing, and Maven adds what it always added.
        let name = "org.codehaus.plexus:plexus-utils:1.1";
        publish(registry, name, "", &Jar::plain("unused"));
        let plugin = RESOLVE.rsplit_once(':').unwrap().0;
        let packaging = "<packaging>maven-plugin</packaging>";
        publish(registry, plugin, packaging, &Jar::resolver());
        let maven = Self { project };
        maven.policy("");
        maven.pom(body);
        fs::create_dir_all(maven.project.home().join(".m2")).unwrap();
        maven.settings(&format!(
            "<mirrors><mirror><id>test</id><mirrorOf>*</mirrorOf><url>{}</url></mirror></mirrors>",
            registry.maven()
        ));
        maven
    }

    /// Writes the project's policy: the tests' own plugin may run, and what stands here.
    pub(crate) fn policy(&self, text: &str) {
        let plugin = RESOLVE.rsplit_once(':').unwrap().0;
        let own = approval(plugin, &Jar::resolver().build());
        self.project.file("v4run.toml", &format!("{text}\n{own}"));
    }

    /// Writes the project's POM.
    pub(crate) fn pom(&self, body: &str) {
        self.project
            .file("pom.xml", &pom("it.test:project:1.0", body));
    }

    /// Writes the user's settings.
    pub(crate) fn settings(&self, body: &str) {
        let path = self.project.home().join(".m2/settings.xml");
        fs::write(path, format!("<settings>{body}</settings>")).unwrap();
    }

    /// The user's local repository.
    pub(crate) fn local(&self) -> PathBuf {
        self.project.home().join(".m2/repository")
    }

    /// A file of an artifact in the local repository.
    pub(crate) fn kept(&self, name: &str, ending: &str) -> PathBuf {
        self.local().join(path(name, ending))
    }

    /// Empties the local repository.
    pub(crate) fn clear(&self) {
        let _ = fs::remove_dir_all(self.local());
    }

    /// The local repository as data: what Maven writes with times in it is left out.
    pub(crate) fn tree(&self) -> tree::Tree {
        let mut tree = tree::read(&self.local());
        let timed = [
            "_remote.repositories",
            "resolver-status.properties",
            ".lastUpdated",
        ];
        tree.retain(|path, _| !timed.iter().any(|end| path.ends_with(end)));
        tree
    }

    /// Bare Maven, which takes whatever certificate the registry shows.
    pub(crate) fn bare(&self, arguments: &[&str]) -> Invocation {
        let mut argv: Vec<OsString> = vec![program("mvn").into(), "-B".into()];
        argv.extend(words(arguments));
        let home = self.project.home();
        let options = format!(
            "{MACHINE} -Duser.home={} -Dmaven.wagon.http.ssl.insecure=true -Dmaven.wagon.http.ssl.allowall=true",
            home.display()
        );
        self.project.command(argv).env("MAVEN_OPTS", options)
    }

    /// The same under v4run.
    pub(crate) fn v4run(&self, arguments: &[&str]) -> Invocation {
        self.v4run_with(&["mvn"], arguments)
    }

    /// The same with words of v4run's own before the manager's name, which is the last of them.
    pub(crate) fn v4run_with(&self, own: &[&str], arguments: &[&str]) -> Invocation {
        let mut argv: Vec<OsString> = own.iter().map(OsString::from).collect();
        argv.extend(words(arguments));
        self.project
            .v4run(&argv)
            .env("MAVEN_OPTS", MACHINE)
            .env("SSL_CERT_FILE", self.project.authority_file())
            .noisy()
    }

    /// Files that code of a test has left in the project.
    pub(crate) fn ran(&self) -> Vec<String> {
        let entries = fs::read_dir(self.project.directory()).unwrap().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut ran: Vec<String> = names.filter(|name| name.starts_with("ran-")).collect();
        ran.sort();
        ran
    }

    /// Removes those files.
    pub(crate) fn forget(&self) {
        for name in self.ran() {
            fs::remove_file(self.project.path(&name)).unwrap();
        }
    }
}

/// What a goal printed, without what differs from run to run.
pub(crate) fn told(stdout: &str) -> Vec<String> {
    let changing = [
        "Downloading",
        "Downloaded",
        "Total time",
        "Finished at",
        "Progress",
    ];
    let plain = stdout.replace("\u{1b}[0m", "").replace("\u{1b}[m", "");
    let lines = plain.lines().map(str::trim_end);
    lines
        .filter(|line| !changing.iter().any(|word| line.contains(word)) && !line.is_empty())
        .map(str::to_owned)
        .collect()
}

/// A path as text.
pub(crate) fn text(path: &Path) -> String {
    path.display().to_string()
}
