//! Placeholder of the layer `cli`.
/// Entry.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::from(125)
}
