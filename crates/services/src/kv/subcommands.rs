//! The second words of commands that have some: which there are, and how many arguments they take.

use super::resp::Args;
use super::store::Failure;
use super::table::Spec;

/// Command, second word, and arguments with both; negative: at least so many.
pub(super) static SUBCOMMANDS: &[(&str, &str, i8)] = &[
    ("client", "getname", 2),
    ("client", "getredir", 2),
    ("client", "help", 2),
    ("client", "id", 2),
    ("client", "info", 2),
    ("client", "kill", -3),
    ("client", "list", -2),
    ("client", "no-evict", 3),
    ("client", "no-touch", 3),
    ("client", "reply", 3),
    ("client", "setinfo", 4),
    ("client", "setname", 3),
    ("client", "unblock", -3),
    ("command", "count", 2),
    ("command", "docs", -2),
    ("command", "getkeys", -4),
    ("command", "help", 2),
    ("command", "info", -2),
    ("command", "list", -2),
    ("config", "get", -3),
    ("config", "help", 2),
    ("config", "resetstat", 2),
    ("config", "rewrite", 2),
    ("config", "set", -4),
    ("latency", "help", 2),
    ("latency", "history", 3),
    ("latency", "latest", 2),
    ("latency", "reset", -2),
    ("memory", "help", 2),
    ("memory", "usage", -3),
    ("object", "encoding", 3),
    ("object", "freq", 3),
    ("object", "help", 2),
    ("object", "idletime", 3),
    ("object", "refcount", 3),
    ("pubsub", "channels", -2),
    ("pubsub", "help", 2),
    ("pubsub", "numpat", 2),
    ("pubsub", "numsub", -2),
    ("slowlog", "get", -2),
    ("slowlog", "help", 2),
    ("slowlog", "len", 2),
    ("slowlog", "reset", 2),
];

/// The name of a command, with its second word if it has such.
pub(super) fn full_name(spec: &Spec, args: Args<'_>) -> String {
    let mut own = SUBCOMMANDS.iter().filter(|(command, ..)| *command == spec.name);
    let second = own.find(|(_, name, _)| name.as_bytes().eq_ignore_ascii_case(args.get(1)));
    second.map_or(spec.name.to_owned(), |(command, name, _)| format!("{command}|{name}"))
}

/// Whether a command has this second word, or takes any.
pub(super) fn knows(spec: &Spec, given: &[u8]) -> bool {
    let mut own = SUBCOMMANDS.iter().filter(|(command, ..)| *command == spec.name).peekable();
    own.peek().is_none() || own.any(|(_, name, _)| name.as_bytes().eq_ignore_ascii_case(given))
}

/// The place of the key that a second word is about.
pub(super) fn key_place(spec: &Spec, args: Args<'_>) -> Option<usize> {
    let is_about_a_key = matches!(spec.name, "memory" | "object");
    (is_about_a_key && !args.get(1).eq_ignore_ascii_case(b"help")).then_some(2)
}

/// Why there is no such subcommand; nothing if there is, or if the command has none.
pub(super) fn refusal(spec: &Spec, args: Args<'_>) -> Option<Failure> {
    let mut known = SUBCOMMANDS.iter().filter(|(command, ..)| *command == spec.name).peekable();
    known.peek()?;
    if args.len() < 2 {
        return None;
    }
    let given = args.get(1);
    let found = known.find(|(_, name, _)| name.as_bytes().eq_ignore_ascii_case(given));
    let Some((command, name, arity)) = found else {
        let given: String = String::from_utf8_lossy(given).chars().take(128).collect();
        let command = spec.name.to_ascii_uppercase();
        return Some(format!("ERR unknown subcommand '{given}'. Try {command} HELP.").into());
    };
    let least = usize::from(arity.unsigned_abs());
    let fits = if *arity < 0 { args.len() >= least } else { args.len() == least };
    let text = || format!("ERR wrong number of arguments for '{command}|{name}' command").into();
    (!fits).then(text)
}
