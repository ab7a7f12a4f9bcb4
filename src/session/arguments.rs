//! A command line as it may be recorded: nothing of it that is a credential.

use std::ffi::OsString;

/// The arguments as they may be recorded: values of flags that carry credentials are hidden, and so
/// is what addresses carry.
pub(super) fn shown(arguments: &[OsString]) -> Vec<String> {
    let mut flag = String::new();
    let mut shown = Vec::with_capacity(arguments.len());
    for argument in arguments {
        let text = argument.to_string_lossy();
        let is_flag = text.starts_with('-');
        shown.push(match text.split_once('=') {
            Some((flag, _)) if is_secret(flag) => format!("{flag}=***"),
            Some((flag, value)) if is_proxy(flag) => format!("{flag}={}", shown_proxy(value)),
            _ if !is_flag && is_secret(&flag) => "***".to_owned(),
            _ if !is_flag && is_proxy(&flag) => shown_proxy(&text),
            Some(_) | None => match url::Url::parse(&text) {
                // An address as a whole loses its query too.
                Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                    crate::model::redact_url(&url)
                }
                Ok(_) | Err(_) => crate::model::redact_text(&text),
            },
        });
        flag = match is_flag && !text.contains('=') {
            true => text.into_owned(),
            false => String::new(),
        };
    }
    shown
}

fn is_proxy(flag: &str) -> bool {
    flag.starts_with('-') && flag.to_ascii_lowercase().contains("proxy")
}

/// The address of a proxy, which may have no scheme.
fn shown_proxy(value: &str) -> String {
    match value.rsplit_once('@') {
        Some((_, host)) => format!("***@{host}"),
        None => value.to_owned(),
    }
}

fn is_secret(flag: &str) -> bool {
    let flag = flag.to_ascii_lowercase();
    ["auth", "token", "password", "otp", "secret", "_key"]
        .iter()
        .any(|word| flag.contains(word))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    #[test]
    fn no_argument_shows_a_credential() {
        for (given, shown) in [
            (
                "install --index-url=https://u:pw@i.invalid/simple a",
                "install --index-url=https://***@i.invalid/simple a",
            ),
            ("-ihttps://pw@i.invalid/", "-ihttps://***@i.invalid/"),
            ("-i https://u:pw@i.invalid/?pw", "-i https://i.invalid/"),
            ("--proxy u:pw@h:8080 a@1.0", "--proxy ***@h:8080 a@1.0"),
            ("--proxy=http://u:pw@h:8080", "--proxy=***@h:8080"),
            (
                "--//i.invalid/:_authToken=pw",
                "--//i.invalid/:_authToken=***",
            ),
        ] {
            let words: Vec<OsString> = given.split(' ').map(OsString::from).collect();
            assert_eq!(super::shown(&words).join(" "), shown);
        }
    }

    #[test]
    fn credentials_are_not_recorded() {
        let words = [
            ("install", "install"),
            (
                "--index-url=https://u:pw@h.invalid/",
                "--index-url=https://***@h.invalid/",
            ),
            ("--proxy", "--proxy"),
            ("u:pw@p.invalid:3128", "***@p.invalid:3128"),
            ("--proxy=http://u:pw@p.invalid", "--proxy=***@p.invalid"),
            (
                "--//h.invalid/:_authToken=pw",
                "--//h.invalid/:_authToken=***",
            ),
            ("--_authToken", "--_authToken"),
            ("pw", "***"),
            ("left@1.0", "left@1.0"),
            (
                "x @ https://u:pw@h.invalid/x.whl",
                "x @ https://***@h.invalid/x.whl",
            ),
        ];
        let arguments: Vec<OsString> = words.iter().map(|(given, _)| given.into()).collect();
        let expected: Vec<&str> = words.iter().map(|(_, shown)| *shown).collect();
        assert_eq!(super::shown(&arguments), expected);
    }
}
