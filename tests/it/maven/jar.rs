//! Jars for the suite, with classes that the machine's own compiler makes of a few lines of Java.
//!
//! The hostile ones leave a file `ran-…` in the working directory when a line of theirs runs.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use crate::project::program;

/// A jar in the making.
#[derive(Clone, Debug, Default)]
pub(crate) struct Jar(BTreeMap<String, Vec<u8>>);

impl Jar {
    /// A jar with a manifest that names its module, a resource and a class.
    pub(crate) fn plain(module: &str) -> Self {
        Self::default()
            .file(
                "META-INF/MANIFEST.MF",
                format!("Manifest-Version: 1.0\r\nAutomatic-Module-Name: {module}\r\n\r\n")
                    .as_bytes(),
            )
            .file("readme.txt", b"a resource\n")
            .class("Marker")
    }

    /// A jar whose components Maven finds and starts when it loads it.
    pub(crate) fn extension() -> Self {
        let named = "hostile.Spy\nhostile.Participant\n";
        Self::plain("hostile.extension")
            .file("META-INF/sisu/javax.inject.Named", named.as_bytes())
            .class("Spy")
            .class("Participant")
    }

    /// A plugin with one goal.
    pub(crate) fn plugin(name: &str, prefix: &str, goal: &str) -> Self {
        let parts: Vec<&str> = name.split(':').collect();
        let descriptor = format!(
            "<plugin><name>x</name><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version>\
             <goalPrefix>{prefix}</goalPrefix><mojos><mojo><goal>{goal}</goal>\
             <implementation>hostile.Goal</implementation><language>java</language>\
             <instantiationStrategy>per-lookup</instantiationStrategy>\
             <executionStrategy>once-per-session</executionStrategy></mojo></mojos></plugin>",
            parts[0], parts[1], parts[2]
        );
        Self::plain("hostile.plugin")
            .file("META-INF/maven/plugin.xml", descriptor.as_bytes())
            .class("Goal")
    }

    /// The plugin that resolves and opens every artifact.
    pub(crate) fn resolver() -> Self {
        let descriptor = b"<plugin><name>x</name><groupId>org.apache.maven.plugins</groupId>\
            <artifactId>maven-dependency-plugin</artifactId><version>0.test</version>\
            <goalPrefix>dependency</goalPrefix><mojos><mojo><goal>resolve</goal>\
            <requiresDependencyResolution>test</requiresDependencyResolution>\
            <requiresProject>true</requiresProject><implementation>hostile.Resolve</implementation>\
            <language>java</language><instantiationStrategy>per-lookup</instantiationStrategy>\
            <executionStrategy>once-per-session</executionStrategy><parameters><parameter>\
            <name>project</name><type>org.apache.maven.project.MavenProject</type>\
            <required>true</required><editable>false</editable></parameter></parameters>\
            <configuration><project implementation=\"org.apache.maven.project.MavenProject\" \
            default-value=\"${project}\"/></configuration></mojo></mojos></plugin>";
        Self::plain("it.resolver")
            .file("META-INF/maven/plugin.xml", descriptor)
            .class("Resolve")
    }

    /// Adds a file.
    pub(crate) fn file(mut self, name: &str, content: &[u8]) -> Self {
        self.0.insert(name.into(), content.into());
        self
    }

    /// An extension of one class.
    pub(crate) fn acting(class: &str) -> Self {
        let named = format!("hostile.{class}\n");
        Self::plain("it.acting")
            .file("META-INF/sisu/javax.inject.Named", named.as_bytes())
            .class(class)
    }

    /// A jar with a class that others compile against.
    pub(crate) fn library() -> Self {
        Self::plain("it.library").class("Library")
    }

    /// A jar that the compiler takes an annotation processor from.
    pub(crate) fn processor() -> Self {
        let service = "META-INF/services/javax.annotation.processing.Processor";
        Self::plain("hostile.processor")
            .file(service, b"hostile.Processor\n")
            .class("Processor")
    }

    /// Takes a file out.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.0.remove(name).unwrap();
        self
    }

    /// Adds one of the hostile classes.
    fn class(self, name: &str) -> Self {
        let content = classes()[name].clone();
        self.file(&format!("hostile/{name}.class"), &content)
    }

    /// An agent of the virtual machine.
    pub(crate) fn agent() -> Self {
        let manifest = "Manifest-Version: 1.0\r\nPremain-Class: hostile.Agent\r\n\r\n";
        Self::plain("hostile.agent")
            .file("META-INF/MANIFEST.MF", manifest.as_bytes())
            .class("Agent")
    }

    /// The archive, with a link more and a file of the same name after it.
    pub(crate) fn linked(&self, name: &str, to: &[u8], content: &[u8]) -> Vec<u8> {
        let own = self
            .files()
            .map(|(_, name, content)| (Some(0o100_644), name, content));
        let more = [
            (Some(0o120_777), name, to),
            (Some(0o100_644), name, content),
        ];
        packed(own.chain(more))
    }

    /// The archive.
    pub(crate) fn build(&self) -> Vec<u8> {
        packed(self.files())
    }

    fn files(&self) -> impl Iterator<Item = Packed<'_>> {
        let files = self.0.iter();
        files.map(|(name, content)| (None, name.as_str(), content.as_slice()))
    }
}

/// A file of an archive: mode, where it has one, name and content.
type Packed<'a> = (Option<u32>, &'a str, &'a [u8]);

fn packed<'a>(files: impl Iterator<Item = Packed<'a>>) -> Vec<u8> {
    let mut output = Vec::new();
    let mut archive = rawzip::ZipArchiveWriter::new(&mut output);
    for (mode, name, content) in files {
        let mut file = archive.new_file(name);
        if let Some(mode) = mode {
            file = file.unix_permissions(mode);
        }
        let (mut entry, config) = file.start().unwrap();
        let mut writer = config.wrap(&mut entry);
        writer.write_all(content).unwrap();
        let (_, descriptor) = writer.finish().unwrap();
        entry.finish(descriptor).unwrap();
    }
    archive.finish().unwrap();
    output
}

const SOURCES: &[(&str, &str)] = &[
    (
        "Marker",
        "public class Marker { public static void mark(String name) { try { \
         new java.io.FileOutputStream(System.getProperty(\"user.dir\") + \"/ran-\" + name).close(); \
         } catch (java.io.IOException error) { System.out.println(\"ran \" + name + error); } } }",
    ),
    (
        "Spy",
        "@javax.inject.Named(\"x\") @javax.inject.Singleton public class Spy \
         extends org.apache.maven.eventspy.AbstractEventSpy { static { Marker.mark(\"spy\"); } }",
    ),
    (
        "Participant",
        "@javax.inject.Named(\"x\") @javax.inject.Singleton public class Participant \
         extends org.apache.maven.AbstractMavenLifecycleParticipant { \
         static { Marker.mark(\"participant\"); } }",
    ),
    (
        "Goal",
        "public class Goal extends org.apache.maven.plugin.AbstractMojo { \
         public void execute() { Marker.mark(\"goal\"); } }",
    ),
    (
        "Resolve",
        "public class Resolve extends org.apache.maven.plugin.AbstractMojo { \
         private org.apache.maven.project.MavenProject project; \
         public void execute() throws org.apache.maven.plugin.MojoExecutionException { try { \
         for (org.apache.maven.artifact.Artifact artifact : project.getArtifacts()) { \
         if (artifact.getFile().getName().endsWith(\".jar\")) \
         new java.util.jar.JarFile(artifact.getFile()).close(); System.out.println(artifact); } } \
         catch (java.io.IOException error) { \
         throw new org.apache.maven.plugin.MojoExecutionException(\"jar\", error); } } }",
    ),
    (
        "Tamperer",
        "@javax.inject.Named(\"x\") @javax.inject.Singleton public class Tamperer \
         extends org.apache.maven.eventspy.AbstractEventSpy { public void close() throws Exception { \
         java.io.BufferedReader reader = new java.io.BufferedReader(new java.io.FileReader(\
         System.getProperty(\"user.dir\") + \"/tamper.txt\")); \
         java.io.OutputStream stream = new java.io.FileOutputStream(reader.readLine(), true); \
         stream.write(10); stream.close(); } }",
    ),
    (
        "Library",
        "public class Library { public static final String NAME = \"n\"; \
         static { Marker.mark(\"library\"); } public static String hi(int i) { return \"l\" + i; } \
         @Deprecated public <T extends Comparable<T>> T most(java.util.List<? super T> of) { \
         return null; } }",
    ),
    (
        "Processor",
        "@javax.annotation.processing.SupportedAnnotationTypes(\"*\") public class Processor \
         extends javax.annotation.processing.AbstractProcessor { \
         static { Marker.mark(\"processor\"); } public boolean process(\
         java.util.Set<? extends javax.lang.model.element.TypeElement> a, \
         javax.annotation.processing.RoundEnvironment b) { return false; } }",
    ),
    (
        "Forker",
        "@javax.inject.Named(\"x\") @javax.inject.Singleton public class Forker \
         extends org.apache.maven.eventspy.AbstractEventSpy { static { try { \
         new ProcessBuilder(\"touch\", System.getProperty(\"user.dir\") + \"/ran-forked\")\
         .start().waitFor(); } catch (Exception error) { System.out.println(error); } } }",
    ),
    (
        "Loader",
        "@javax.inject.Named(\"x\") @javax.inject.Singleton public class Loader \
         extends org.apache.maven.eventspy.AbstractEventSpy { static { try { \
         System.load(System.getProperty(\"user.dir\") + \"/native.so\"); \
         System.out.println(\"library loaded\"); } catch (Throwable error) { \
         System.out.println(error); } } }",
    ),
    (
        "Agent",
        "public class Agent { public static void premain(String text) { Marker.mark(\"agent\"); } }",
    ),
];

/// The compiled classes by name.
fn classes() -> &'static BTreeMap<String, Vec<u8>> {
    static CLASSES: OnceLock<BTreeMap<String, Vec<u8>>> = OnceLock::new();
    CLASSES.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let mut compiler = Command::new(program("javac"));
        compiler
            .args(["--release", "8", "-nowarn", "-cp", &library(), "-d"])
            .arg(folder.path());
        for (name, source) in SOURCES {
            let file = folder.path().join(format!("{name}.java"));
            fs::write(&file, format!("package hostile; {source}")).unwrap();
            compiler.arg(file);
        }
        let output = compiler.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        let read = |name: &str| {
            let path = folder.path().join(format!("hostile/{name}.class"));
            (name.to_owned(), fs::read(path).unwrap())
        };
        SOURCES.iter().map(|(name, _)| read(name)).collect()
    })
}

/// Maven's own library.
fn library() -> String {
    let script = program("mvn").canonicalize().unwrap();
    let home = script.ancestors().nth(2).unwrap_or(Path::new("/"));
    format!("{}/lib/*", home.display())
}
