//! Single values: from what TOML has to what the rest of the program wants, with words for
//! everything that can be wrong.

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use locum_diagnosis::nearest;
use locum_types::IdError;
use log::LevelFilter;
use smoltcp::wire::{IpCidr, Ipv4Cidr};
use toml::de::DeValue;

use super::section::Wrong;

/// The longest name of a network interface: `IFNAMSIZ` without its terminating zero.
const INTERFACE_NAME_MAX: usize = 15;
/// The longest path of a unix socket: `sun_path` without its terminating zero.
const SOCKET_PATH_MAX: usize = 107;
const NODE_NAME_MAX: usize = 32;

fn wrong_type(value: &DeValue<'_>, wanted: &str) -> Wrong {
    let found = match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    Wrong::new(format!("must be {wanted}, and is {found}"), "")
}

pub(super) fn text<'v>(value: &'v DeValue<'_>) -> Result<&'v str, Wrong> {
    value.as_str().ok_or_else(|| wrong_type(value, "a text in quotes"))
}

pub(super) fn flag(value: &DeValue<'_>) -> Result<bool, Wrong> {
    value.as_bool().ok_or_else(|| wrong_type(value, "true or false"))
}

/// A whole number within `range`.
pub(super) fn number<T>(
    range: RangeInclusive<T>,
) -> impl Fn(&DeValue<'_>) -> Result<T, Wrong> + use<T>
where
    T: TryFrom<u64> + PartialOrd + Display,
{
    move |value| {
        let integer = value.as_integer().ok_or_else(|| wrong_type(value, "a whole number"))?;
        let parsed = u64::from_str_radix(integer.as_str(), integer.radix());
        let number = parsed.ok().and_then(|number| T::try_from(number).ok());
        number.filter(|number| range.contains(number)).ok_or_else(|| {
            let (min, max) = (range.start(), range.end());
            Wrong::new(format!("must be {min} to {max}, and is {integer}"), "")
        })
    }
}

/// A number within `range` that `new` makes an id or a priority of.
pub(super) fn id<R, T>(
    range: RangeInclusive<R>,
    new: impl Fn(R) -> Result<T, IdError>,
) -> impl Fn(&DeValue<'_>) -> Result<T, Wrong>
where
    R: TryFrom<u64> + PartialOrd + Display,
{
    let number = number(range);
    move |value| new(number(value)?).map_err(|error| Wrong::new(error.to_string(), ""))
}

/// A duration as people write it, within `range`.
pub(super) fn duration(
    range: RangeInclusive<Duration>,
) -> impl Fn(&DeValue<'_>) -> Result<Duration, Wrong> {
    move |value| {
        let text = value
            .as_str()
            .ok_or_else(|| wrong_type(value, "a duration in quotes, with its unit"))?;
        let duration = humantime::parse_duration(text)
            .map_err(|error| Wrong::new(format!("is not a duration: {error}"), ""))?;
        if range.contains(&duration) {
            return Ok(duration);
        }
        let [min, max, is] =
            [*range.start(), *range.end(), duration].map(humantime::format_duration);
        Err(Wrong::new(format!("must be {min} to {max}, and is {is}"), ""))
    }
}

/// The address of one machine: not a network, not a group, not this host to itself.
fn host(text: &str) -> Result<IpAddr, Wrong> {
    let address: IpAddr = text
        .parse()
        .map_err(|_| Wrong::new(format!("{text:?} is not an IPv4 or IPv6 address"), ""))?;
    let why = if address.is_unspecified() {
        "stands for no address at all"
    } else if address.is_loopback() {
        "is a loopback address"
    } else if address.is_multicast() {
        "is a multicast address"
    } else if address == IpAddr::V4(Ipv4Addr::BROADCAST) {
        "is the broadcast address"
    } else if matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some()) {
        "is an IPv4 address in IPv6 clothes; write it as IPv4"
    } else {
        return Ok(address);
    };
    Err(Wrong::new(format!("{address} {why}"), ""))
}

pub(super) fn address(value: &DeValue<'_>) -> Result<IpAddr, Wrong> {
    let text = value.as_str().ok_or_else(|| wrong_type(value, "an address in quotes"))?;
    match text.split_once('/') {
        Some((address, _)) => Err(Wrong::new(
            "must be an address without a prefix length",
            format!("write \"{address}\""),
        )),
        None => host(text),
    }
}

/// The address of one machine and its subnet, as `10.77.0.11/24`.
pub(super) fn cidr(value: &DeValue<'_>) -> Result<IpCidr, Wrong> {
    let text = value
        .as_str()
        .ok_or_else(|| wrong_type(value, "an address with its prefix length, in quotes"))?;
    let Some((address, prefix)) = text.split_once('/') else {
        let prefix = if host(text)?.is_ipv4() { 24 } else { 64 };
        let fix = format!("write \"{text}/{prefix}\", if the subnet has that size");
        return Err(Wrong::new(format!("{text} has no prefix length"), fix));
    };
    let address = host(address)?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let range = 1..=longest;
    let prefix = prefix.parse().ok().filter(|prefix| range.contains(prefix)).ok_or_else(|| {
        Wrong::new(format!("the prefix length must be 1 to {longest}, and is {prefix:?}"), "")
    })?;
    let cidr = IpCidr::new(address.into(), prefix);
    match cidr {
        IpCidr::Ipv4(v4) => check_host_part(v4).map(|()| cidr),
        IpCidr::Ipv6(_) => Ok(cidr),
    }
}

/// Neither the first nor the last address of the subnet; subnets of two have neither (RFC 3021).
fn check_host_part(cidr: Ipv4Cidr) -> Result<(), Wrong> {
    if cidr.prefix_len() >= 31 {
        return Ok(());
    }
    let what = if cidr.address() == cidr.network().address() {
        "is the subnet itself, not a machine in it"
    } else if Some(cidr.address()) == cidr.broadcast() {
        "is the broadcast address of its subnet"
    } else {
        return Ok(());
    };
    Err(Wrong::new(format!("{cidr} {what}"), ""))
}

/// The name of a network interface, by the kernel's rules (`dev_valid_name`).
pub(super) fn interface(value: &DeValue<'_>) -> Result<String, Wrong> {
    let name = text(value)?;
    let fits = (1..=INTERFACE_NAME_MAX).contains(&name.len()) && name != "." && name != "..";
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b':' | b'%');
    if fits && name.bytes().all(plain) {
        return Ok(name.to_owned());
    }
    let what = format!(
        "{name:?} is no interface name: 1 to {INTERFACE_NAME_MAX} printable characters without \
         spaces, `/`, `:` and `%`"
    );
    Err(Wrong::new(what, ""))
}

pub(super) fn name(value: &DeValue<'_>) -> Result<String, Wrong> {
    let name = text(value)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if (1..=NODE_NAME_MAX).contains(&name.len())
        && name.bytes().all(plain)
        && !name.starts_with('.')
    {
        return Ok(name.to_owned());
    }
    let what = format!(
        "{name:?} is no node name: 1 to {NODE_NAME_MAX} letters, digits, `-`, `_` and `.`, not \
         starting with `.`"
    );
    Err(Wrong::new(what, ""))
}

/// A path; a relative one starts at `base`, the directory of the file.
pub(super) fn path(base: &Path) -> impl Fn(&DeValue<'_>) -> Result<PathBuf, Wrong> {
    move |value| {
        let text = text(value)?;
        if text.is_empty() || text.contains('\0') {
            return Err(Wrong::new("is not a path", ""));
        }
        Ok(base.join(text))
    }
}

/// The path of a unix socket.
pub(super) fn socket(base: &Path) -> impl Fn(&DeValue<'_>) -> Result<PathBuf, Wrong> {
    move |value| {
        let path = path(base)(value)?;
        let len = path.as_os_str().len();
        if len <= SOCKET_PATH_MAX {
            return Ok(path);
        }
        let what = format!("is too long for a socket: {len} bytes, at most {SOCKET_PATH_MAX}");
        Err(Wrong::new(what, "use a shorter path, such as \"/run/locum/node1.sock\""))
    }
}

/// One of a few words.
pub(super) fn word<T: Copy>(
    words: &[(&'static str, T)],
) -> impl Fn(&DeValue<'_>) -> Result<T, Wrong> {
    move |value| {
        let text = text(value)?;
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text) {
            return Ok(*meaning);
        }
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let list: Vec<String> = names.iter().map(|word| format!("{word:?}")).collect();
        let fix = nearest(text, &names).map(|near| format!("did you mean {near:?}?"));
        let what = format!("{text:?} is none of {}", list.join(", "));
        Err(Wrong::new(what, fix.unwrap_or_default()))
    }
}

pub(super) const LEVELS: [(&str, LevelFilter); 6] = [
    ("off", LevelFilter::Off),
    ("error", LevelFilter::Error),
    ("warn", LevelFilter::Warn),
    ("info", LevelFilter::Info),
    ("debug", LevelFilter::Debug),
    ("trace", LevelFilter::Trace),
];
