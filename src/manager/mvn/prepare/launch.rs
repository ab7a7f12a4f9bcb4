//! What Maven is shown: command line, environment, settings; and what the run may touch.
//!
//! Everything is built from nothing. The settings that Maven gets name v4run's proxy and no
//! credentials but the token of this run; they lie in the directory that Maven may only read.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::Plan;
use crate::manager::mvn::goals::Kind;
use crate::manager::mvn::settings::{self, Settings};
use crate::manager::mvn::{keystore, listener, rehearsal, xml};
use crate::manager::rules::{self, Grounds, Writes};
use crate::model::{Code, Finding, Launch, PathRule, View};

/// What Maven's own file of settings says about repositories without TLS; kept where the user names
/// another file, because the rest of that file is taken as it is.
const BLOCKER: &str = "maven-default-http-blocker";

/// For a run that only resolves: the second compiler, else a third of the processor time of such a
/// run, compiles what is twenty times as hot as it usually has to be. Without it at all, ciphers
/// would be interpreted.
const SHORT: [&str; 4] = [
    "-XX:Tier4InvocationThreshold=100000",
    "-XX:Tier4MinInvocationThreshold=12000",
    "-XX:Tier4CompileThreshold=300000",
    "-XX:Tier4BackEdgeThreshold=800000",
];

/// What calls the processor's own instructions for ciphers and digests, which only the second
/// compiler knows: sooner than usual, because every byte of a download passes it. A name that a JDK
/// does not have does nothing.
const EARLY: [&str; 7] = [
    "com.sun.crypto.provider.AESCrypt",
    "com.sun.crypto.provider.CounterMode",
    "com.sun.crypto.provider.GCTR",
    "com.sun.crypto.provider.GHASH",
    "sun.security.provider.DigestBase",
    "sun.security.provider.SHA",
    "sun.security.provider.SHA2",
];

/// The release of the JDK that reads such a line; earlier ones complain on standard output.
const COMMANDS: u32 = 17;

/// The compiler's part of a short run.
fn compiler(java: Option<&str>) -> Vec<String> {
    let mut words: Vec<String> = SHORT.map(str::to_owned).into();
    let release = java.and_then(|java| java.split(['.', '-', '+']).next()?.parse::<u32>().ok());
    if release.is_some_and(|release| release >= COMMANDS) {
        // It would say each of them.
        words.push("-XX:CompileCommand=quiet".to_owned());
        let line = |class| format!("-XX:CompileCommand=CompileThresholdScaling,{class}::*,0.01");
        words.extend(EARLY.map(line));
    }
    words
}

impl Plan<'_> {
    /// What the run writes.
    pub(super) fn writes(&self) -> Writes {
        let mut writes = Writes::default();
        if self.found.checked.goals.is_empty() {
            return writes;
        }
        let local = (self.local.clone(), "the local repository");
        writes.directories.push(local);
        let built = self.outputs_of_build().into_iter();
        let built = built.map(|path| (PathBuf::from(path), "what the build makes"));
        writes.directories.extend(built);
        let outputs = self.outputs.iter().cloned();
        writes.files = outputs.map(|path| (path, Some(Vec::new()))).collect();
        writes
    }

    /// The output directory of each module, when the run is a build.
    pub(super) fn outputs_of_build(&self) -> Vec<OsString> {
        let builds = self.found.kind == Kind::Build;
        let modules = self.reactor.modules.iter().filter(|_| builds);
        modules
            .map(|module| module.join("target").into_os_string())
            .collect()
    }

    /// Landlock rules and the roots that code may be mapped from.
    pub(super) fn rules(&self, writes: &Writes) -> (Vec<PathRule>, Vec<OsString>) {
        let found = &self.found;
        let runtime = &found.runtime;
        let request = found.request;
        let parts = runtime.parts().into_iter();
        let parts = parts.map(|path| (path, "Maven and its virtual machine"));
        let home = request.home.as_deref();
        let broad = rules::is_broad(&found.root, home, request.private);
        let mut readable = Vec::new();
        if broad {
            // Only what Maven needs of the user's own place.
            let names = ["pom.xml", ".mvn", "src", "target"].map(|name| found.root.join(name));
            let names = names.into_iter().filter(|path| path.exists());
            readable.extend(names.map(|path| (path, "a part of the project that Maven reads")));
        } else {
            readable.push((found.root.clone(), "the project"));
        }
        if let Some(file) = &found.base.file {
            readable.push((file.clone(), "the POM that the command names"));
        }
        if found.base.directory != found.root {
            let directory = found.base.directory.clone();
            readable.push((directory, "the directory of the project's POM"));
        }
        Grounds {
            profile: &found.profile,
            private: request.private,
            manager: "Maven",
            program: (&runtime.java, "Java runs Maven"),
            needs: &runtime.needs,
            runtime: parts.collect(),
            readable,
            project: Some(found.root.as_path()).filter(|path| path.parent().is_some()),
            broad,
            writes,
        }
        .rules()
    }

    /// Writes the files that Maven is shown, and the command line that names them.
    pub(super) fn launch(&self, rules: Vec<PathRule>) -> Result<Launch, Finding> {
        let found = &self.found;
        let request = found.request;
        let config = &request.private.config;
        let (user, global) = (config.join("settings.xml"), config.join("global.xml"));
        let own = self.proxies();
        let files = [
            (&user, settings::written(self.user.as_ref(), &own)),
            (
                &global,
                settings::written(self.global.as_ref(), &self.blocker()),
            ),
        ];
        for (path, text) in files {
            std::fs::write(path, text).map_err(|error| {
                let message = format!("Maven's settings cannot be written: {error}");
                let place = path.display().to_string();
                Finding::new(Code::SandboxUnenforceable, place, message)
            })?;
        }
        let java = found.runtime.java.clone().into_os_string();
        let mut arguments = vec![java.clone()];
        arguments.extend(self.machine());
        arguments.extend(self.maven(&user, &global));
        Ok(Launch {
            executable: java,
            arguments,
            environment: self.environment(),
            directory: request.directory.clone().into_os_string(),
            rules,
            child: None,
            build: None,
        })
    }

    /// The virtual machine's part of the command line, up to Maven's entry.
    fn machine(&self) -> Vec<OsString> {
        let found = &self.found;
        let runtime = &found.runtime;
        let private = found.request.private;
        let mut words = Vec::new();
        // The user's own words come later and win.
        if found.kind != Kind::Build {
            let java = runtime.java_version.as_deref();
            words.extend(compiler(java).into_iter().map(OsString::from));
        }
        words.extend(found.checked.machine.iter().map(OsString::from));
        // Nothing outside the run's directories is written, and nobody can attach to it.
        words.extend(["-XX:-UsePerfData", "-XX:+DisableAttachMechanism"].map(OsString::from));
        words.push(joined("-XX:ErrorFile=", &private.tmp.join("hs_err.log")));
        for (name, value) in [
            ("java.io.tmpdir", private.tmp.clone()),
            ("user.home", private.home.clone()),
            (
                "javax.net.ssl.trustStore",
                private.config.join(keystore::NAME),
            ),
            ("classworlds.conf", runtime.home.join("bin/m2.conf")),
            ("maven.home", runtime.home.clone()),
            ("library.jansi.path", runtime.home.join("lib/jansi-native")),
            ("maven.multiModuleProjectDirectory", found.root.clone()),
        ] {
            words.push(joined(&format!("-D{name}="), &value));
        }
        if self.listens() {
            let file = private.tmp.join(listener::FILE);
            words.push(joined(&format!("-D{}=", listener::PROPERTY), &file));
        }
        words.push("-Djavax.net.ssl.trustStoreType=PKCS12".into());
        words.push("-classpath".into());
        words.push(runtime.classworlds.clone().into_os_string());
        words.push("org.codehaus.plexus.classworlds.launcher.Launcher".into());
        words
    }

    /// Maven's own part.
    fn maven(&self, user: &Path, global: &Path) -> Vec<OsString> {
        let found = &self.found;
        let own = ["--batch-mode", "--strict-checksums"];
        let mut words: Vec<OsString> = own.map(OsString::from).into();
        for given in &found.checked.passed {
            // The log of a rehearsal is v4run's.
            if found.request.rehearsal && ["debug", "errors", "quiet"].contains(&given.name) {
                continue;
            }
            match (given.name, &given.value) {
                ("define", Some(value)) => words.push(format!("-D{value}").into()),
                (name, None) => words.push(format!("--{name}").into()),
                (name, Some(value)) => {
                    words.push(format!("--{name}").into());
                    words.push(value.into());
                }
            }
        }
        let named = [
            ("--settings", Some(user)),
            ("--global-settings", Some(global)),
            ("--file", found.base.file.as_deref()),
        ];
        for (name, path) in named {
            if let Some(path) = path {
                words.push(name.into());
                words.push(path.as_os_str().to_owned());
            }
        }
        words.push(joined("-Dmaven.repo.local=", &self.local));
        // A copy of a snapshot under its general name would be a copy of the view that Maven has of it.
        words.push("-Daether.artifactResolver.snapshotNormalization=false".into());
        if found.request.rehearsal {
            let log = found.request.private.tmp.join(rehearsal::LOG);
            words.extend(["--debug".into(), "--log-file".into(), log.into_os_string()]);
        } else if let Some(taken) = found.checked.taken.get("log-file") {
            words.extend(["--log-file".into(), OsString::from(&taken.text)]);
        }
        if self.listens() {
            let jar = found.request.private.config.join(listener::JAR);
            words.push(joined("-Dmaven.ext.class.path=", &jar));
        }
        if let Some(taken) = found.checked.taken.get("-DoutputFile") {
            words.push(joined("-DoutputFile=", Path::new(&taken.text)));
        }
        if found.kind == Kind::Build {
            // The output directory itself stays: its parent is not the run's to change.
            let clean = ["failOnError", "retryOnError"];
            words.extend(clean.map(|name| format!("-Dmaven.clean.{name}=false").into()));
        }
        let goals = found.checked.goals.iter();
        words.extend(goals.map(|goal| OsString::from(&goal.text)));
        words
    }

    /// Whether Maven is to tell which artifacts the projects consist of.
    fn listens(&self) -> bool {
        let found = &self.found;
        found.kind != Kind::Print && !found.request.rehearsal
    }

    /// v4run's own listener, which Maven loads beside its core.
    pub(super) fn listener(&self) -> Result<Option<View>, Finding> {
        if !self.listens() {
            return Ok(None);
        }
        let path = self.found.request.private.config.join(listener::JAR);
        let failed = |message: String| Finding::new(Code::Internal, listener::JAR, message);
        let content = listener::jar().ok_or_else(|| failed("it cannot be made".to_owned()))?;
        std::fs::write(&path, &content)
            .map_err(|error| failed(format!("it cannot be written: {error}")))?;
        Ok(Some(View {
            path: path.into_os_string(),
            content,
        }))
    }

    /// The way to v4run's proxy, with the token of this run.
    fn proxies(&self) -> String {
        let request = self.found.request;
        let entry = |protocol: &str| {
            format!(
                "<proxy><id>v4run-{protocol}</id><active>true</active><protocol>{protocol}</protocol>\
                 <host>127.0.0.1</host><port>{}</port><username>v4run</username>\
                 <password>{}</password><nonProxyHosts></nonProxyHosts></proxy>",
                request.proxy_port,
                xml::escaped(request.token.expose())
            )
        };
        // What is asked for without TLS comes to the proxy too, which refuses it by name.
        let entries = ["https", "http"].map(entry).concat();
        format!("<interactiveMode>false</interactiveMode><proxies>{entries}</proxies>")
    }

    /// Maven's own rule about repositories without TLS, where the global file lacks it.
    fn blocker(&self) -> String {
        let has = |settings: &Settings| settings.mirrors.iter().any(|mirror| mirror.id == BLOCKER);
        let there = self.global.iter().chain(&self.user).any(has);
        if there || self.found.runtime.number() < (3, 8) {
            return String::new();
        }
        format!(
            "<mirrors><mirror><id>{BLOCKER}</id><mirrorOf>external:http:*</mirrorOf>\
             <url>http://0.0.0.0/</url><blocked>true</blocked></mirror></mirrors>"
        )
    }

    fn environment(&self) -> Vec<(OsString, OsString)> {
        let found = &self.found;
        let private = found.request.private;
        let mut environment: Vec<(OsString, OsString)> = Vec::new();
        for (name, value) in found.request.environment {
            if name.to_str().is_some_and(|name| found.profile.passes(name)) {
                environment.push((name.clone(), value.clone()));
            }
        }
        let mut set = |name: &str, value: &dyn AsRef<OsStr>| {
            environment.push((name.into(), value.as_ref().to_owned()));
        };
        set("HOME", &private.home);
        set("TMPDIR", &private.tmp);
        set("JAVA_HOME", &found.runtime.jdk);
        set("MAVEN_PROJECTBASEDIR", &found.root);
        environment
    }
}

fn joined(start: &str, path: &Path) -> OsString {
    let mut word = OsString::from(start);
    word.push(path);
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_jdk_that_reads_it_gets_a_line_for_its_compiler() {
        for (java, has) in [
            (None, false),
            (Some("1.8.0_402"), false),
            (Some("11.0.2"), false),
            (Some("17.0.15"), true),
            (Some("21-ea"), true),
        ] {
            let words = compiler(java);
            let line = |word: &String| word.starts_with("-XX:CompileCommand=");
            assert_eq!(words.iter().any(line), has, "{java:?}");
            assert!(words.iter().any(|word| word == SHORT[0]));
        }
    }
}
