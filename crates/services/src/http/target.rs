//! From the request target to a path that cannot leave the root.

/// A target that names no file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TargetError {
    /// It is no request target, or one that is up to no good.
    Malformed,
    /// It is in order, but names nothing that is ever served.
    NeverServed,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target<'t> {
    /// Relative to the root, segments joined by single slashes; "" is the root itself.
    pub(super) path: String,
    /// It ended in a slash: a directory is meant.
    pub(super) slash: bool,
    /// What follows the question mark.
    pub(super) query: Option<&'t str>,
}

impl<'t> Target<'t> {
    /// Parses a request target in origin or absolute form (RFC 9112 section 3.2).
    ///
    /// Percent-encoding is undone once, after the split at slashes, so an encoded slash can only be part
    /// of a name, and no file name has one. Dot segments are refused rather than resolved: clients resolve
    /// them before they send. Hidden files (`.git`, `.env`) are not served, except below `.well-known`.
    pub(super) fn parse(target: &'t str) -> Result<Self, TargetError> {
        let target = origin_form(target).ok_or(TargetError::Malformed)?;
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let path = path.strip_prefix('/').ok_or(TargetError::Malformed)?;
        let (path, slash) = match path.strip_suffix('/') {
            Some(path) => (path, true),
            None => (path, path.is_empty()),
        };
        let mut decoded = String::with_capacity(path.len());
        if !path.is_empty() {
            for (index, segment) in path.split('/').enumerate() {
                if index > 0 {
                    decoded.push('/');
                }
                decoded.push_str(&segment_name(segment, index)?);
            }
        }
        Ok(Target { path: decoded, slash, query })
    }

    /// The target of the same directory, with the slash it lacks, safe to send in `Location`: it begins
    /// with exactly one slash, so it cannot name another host.
    pub(super) fn with_slash(&self) -> String {
        let mut location = String::from("/");
        for byte in self.path.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                    location.push(char::from(byte));
                }
                other => location.push_str(&format!("%{other:02X}")),
            }
        }
        location.push('/');
        if let Some(query) = self.query {
            location.push('?');
            location.push_str(query);
        }
        location
    }
}

/// The part of the target from the path on.
fn origin_form(target: &str) -> Option<&str> {
    if target.starts_with('/') {
        return Some(target);
    }
    let (scheme, rest) = target.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("http") {
        return None;
    }
    let authority = rest.find(['/', '?']).unwrap_or(rest.len());
    match rest.split_at(authority) {
        ("", _) => None,
        (_, "") => Some("/"),
        (_, path) => Some(path),
    }
}

/// The file name that a segment encodes.
fn segment_name(segment: &str, index: usize) -> Result<String, TargetError> {
    let name = percent_decoded(segment).ok_or(TargetError::Malformed)?;
    if name == "." || name == ".." || name.bytes().any(|byte| byte == b'/' || byte < b' ') {
        return Err(TargetError::Malformed);
    }
    let hidden = name.starts_with('.') && !(index == 0 && name == ".well-known");
    if name.is_empty() || hidden { Err(TargetError::NeverServed) } else { Ok(name) }
}

/// Undoes percent-encoding; `None` for a bad escape, and for bytes that are not UTF-8.
fn percent_decoded(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push((high * 16 + low) as u8);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(target: &str) -> Result<String, TargetError> {
        Target::parse(target).map(|target| target.path)
    }

    #[test]
    fn targets_name_files_below_the_root() {
        for (target, expected, slash) in [
            ("/", "", true),
            ("/a", "a", false),
            ("/a/b.txt", "a/b.txt", false),
            ("/a/", "a", true),
            ("/a%20b/%C3%A9", "a b/é", false),
            ("/a?b=c/../d", "a", false),
            ("/%2525", "%25", false),
            ("/a/b../c..", "a/b../c..", false),
            ("/.well-known/acme", ".well-known/acme", false),
            ("http://host:80/a", "a", false),
            ("HTTP://host", "", true),
        ] {
            let parsed = Target::parse(target).unwrap();
            assert_eq!((parsed.path.as_str(), parsed.slash), (expected, slash), "{target}");
        }
    }

    #[test]
    fn nothing_leads_out_of_the_root() {
        for target in [
            "",
            "*",
            "a",
            "/..",
            "/a/../b",
            "/%2e%2e/x",
            "/.%2E/x",
            "/.",
            "/a%2fb",
            "/a%2Fb",
            "/a%00",
            "/a%0d%0a",
            "/%",
            "/%4",
            "/%zz",
            "/%ff",
            "http:///a",
            "ftp://host/a",
            "/a/%2e",
        ] {
            assert_eq!(path(target), Err(TargetError::Malformed), "{target}");
        }
    }

    #[test]
    fn hidden_and_nameless_files_do_not_exist() {
        for target in
            ["/.git/config", "/a/.env", "/..b", "//a", "/a//b", "/a/.well-known", "/a//", "//.."]
        {
            assert_eq!(path(target), Err(TargetError::NeverServed), "{target}");
        }
    }

    #[test]
    fn a_redirect_stays_on_this_host_and_keeps_the_query() {
        let location = |target| Target::parse(target).unwrap().with_slash();
        assert_eq!(location("/a%20b?x=1"), "/a%20b/?x=1");
        assert_eq!(location("/%5Cevil.example"), "/%5Cevil.example/");
        assert_eq!(location("http://host/dir"), "/dir/");
    }
}
