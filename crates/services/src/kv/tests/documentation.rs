//! What `docs/KV.md` says is what there is.

use std::collections::BTreeSet;

use crate::kv::resp::Limits;
use crate::kv::subcommands::SUBCOMMANDS;
use crate::kv::table::{Group, TABLE};
use crate::kv::{connection, glob, session, sorted_algebra, store};

const KV_MD: &str = include_str!("../../../../../docs/KV.md");

/// The words in backquotes of the row that begins with `first`, in lower case.
fn listed(first: &str) -> BTreeSet<String> {
    let begin = format!("| {first} | ");
    let row = KV_MD.lines().find_map(|line| line.strip_prefix(&begin)).expect(first);
    row.split('`').skip(1).step_by(2).map(str::to_ascii_lowercase).collect()
}

#[test]
fn every_command_is_listed_in_its_group_and_no_other_is() {
    let groups: BTreeSet<&str> = TABLE.iter().map(|spec| spec.group.name()).collect();
    for group in groups {
        let of_group = |spec: &&crate::kv::table::Spec| Group::name(spec.group) == group;
        let names = TABLE.iter().filter(of_group).map(|spec| spec.name.to_owned());
        assert_eq!(listed(group), names.collect::<BTreeSet<_>>(), "{group}");
    }
    let commands: BTreeSet<&str> = SUBCOMMANDS.iter().map(|(command, ..)| *command).collect();
    for command in commands {
        let own = SUBCOMMANDS.iter().filter(|(of, ..)| *of == command);
        let names: BTreeSet<String> = own.map(|(_, name, _)| (*name).to_owned()).collect();
        assert_eq!(listed(&format!("`{}`", command.to_ascii_uppercase())), names, "{command}");
        assert!(TABLE.iter().any(|spec| spec.name == command), "{command}");
    }
}

#[test]
fn the_limits_are_those_of_the_code() {
    let limits = Limits::default();
    let mib = |bytes: usize| format!("{} MiB", bytes >> 20);
    for (what, how_much) in [
        ("databases", store::DATABASES.to_string()),
        ("arguments of a command", limits.args.to_string()),
        ("an argument", mib(limits.bulk)),
        ("a command", mib(limits.request)),
        ("a string put together by `APPEND`, `SETRANGE`, `SETBIT`", mib(limits.string())),
        ("output that waits", mib(session::OUTPUT_MAX)),
        ("a reply, or all replies of an `EXEC`", mib(limits.reply())),
        ("kept for all connections together", mib(limits.held)),
        (
            "what `BY` and `GET` of a `SORT` read: names of keys and what is there",
            mib(limits.reply()),
        ),
        ("keys that a connection watches", session::WATCHES_MAX.to_string()),
        ("channels and patterns of a connection", session::SUBSCRIPTIONS_MAX.to_string()),
        (
            "members that `ZUNION` and its kin read again, of keys that are named again",
            sorted_algebra::AGAIN_MAX.to_string(),
        ),
        ("a pattern", format!("{} bytes", glob::PATTERN_MAX)),
        ("the name of a connection", format!("{} bytes", connection::NAME_MAX)),
    ] {
        let row = format!("| {what} | {how_much}");
        assert!(KV_MD.contains(&row), "{row}");
    }
    assert!(KV_MD.contains(&format!("reset above {}", mib(session::MESSAGES_MAX))));
}
