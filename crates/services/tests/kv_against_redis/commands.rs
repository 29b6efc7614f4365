//! Random commands, from templates.
//!
//! `{A|B|}` is one of several texts. A word that begins with `$` is made up: see [`Maker::word`]. A
//! template with a `!` in front is never damaged: a damaged one could do what the test cannot compare.

use std::collections::BTreeSet;

use fastrand::Rng;

pub(crate) type Command = Vec<Vec<u8>>;

const TEMPLATES: &str = include_str!("templates.txt");

/// Commands that come with one cursor after the other, until there is no more.
const WALKS: [&str; 7] = [
    "SCAN 0",
    "SCAN 0 COUNT $i",
    "SCAN 0 MATCH $m COUNT 2",
    "SCAN 0 TYPE {string|list|HASH|none}",
    "SSCAN $t 0 {COUNT 3|MATCH $m|}",
    "HSCAN $h 0 {COUNT 3|MATCH $m|}",
    "ZSCAN $z 0 {COUNT 3|MATCH $m|}",
];

/// Makes commands.
pub(crate) struct Maker {
    rng: Rng,
    templates: Vec<&'static str>,
    /// Times that were given to keys, in hundreds of seconds: equal ones would depend on when they came.
    times: BTreeSet<u64>,
    /// Milliseconds of the wall clock.
    now: u64,
}

impl Maker {
    pub(crate) fn new(seed: u64, now: u64) -> Maker {
        let templates = TEMPLATES.lines().filter(|line| !line.is_empty()).collect();
        Maker { rng: Rng::with_seed(seed), templates, times: BTreeSet::new(), now }
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.rng.usize(..end)
    }

    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Copy>(&mut self, among: &[T]) -> T {
        among[self.below(among.len())]
    }

    pub(crate) fn command(&mut self) -> Command {
        let line = self.below(self.templates.len());
        let line = self.templates[line];
        let (fragile, line) = line.strip_prefix('!').map_or((false, line), |line| (true, line));
        let mut command = self.fill(line);
        if !fragile && self.chance(8) {
            self.damage(&mut command);
        }
        if self.chance(20) {
            command[0].make_ascii_lowercase();
        }
        command
    }

    pub(crate) fn walk(&mut self) -> Command {
        let line = self.pick(&WALKS);
        self.fill(line)
    }

    pub(crate) fn watch(&mut self) -> Command {
        self.fill("WATCH $k $k $k $k $k")
    }

    pub(crate) fn subscription(&mut self) -> Command {
        self.fill(
            "{SUBSCRIBE c0|SUBSCRIBE c1 c2|PSUBSCRIBE c*|PSUBSCRIBE ?1 c[01]|UNSUBSCRIBE c0 c1}",
        )
    }

    pub(crate) fn message(&mut self) -> Command {
        self.fill(
            "{PUBLISH c0 $v|PUBLISH c1 $v|PUBLISH x1 $v|PUBSUB NUMSUB c0 c1|PUBSUB NUMPAT|PING}",
        )
    }

    pub(crate) fn any_key(&mut self) -> Vec<u8> {
        self.word("$k")
    }

    fn fill(&mut self, line: &str) -> Command {
        let mut text = String::new();
        let mut rest = line;
        while let Some((before, after)) = rest.split_once('{') {
            let (choices, after) = after.split_once('}').expect("a template closes what it opens");
            let choices: Vec<&str> = choices.split('|').collect();
            text += before;
            text += self.pick(&choices);
            rest = after;
        }
        text += rest;
        text.split_ascii_whitespace().map(|word| self.word(word)).collect()
    }

    fn damage(&mut self, command: &mut Command) {
        const JUNK: [&str; 19] = [
            "x",
            "",
            "-1",
            "0",
            "1.5",
            "9223372036854775807",
            "-9223372036854775808",
            "9223372036854775808",
            " 1",
            "1 ",
            "+1",
            "007",
            "--1",
            "nan",
            "inf",
            "1e400",
            "NX",
            "(",
            "COUNT",
        ];
        let junk = self.pick(&JUNK).as_bytes().to_vec();
        let place = self.below(command.len());
        match self.below(4) {
            0 if place > 0 => drop(command.remove(place)),
            0 | 1 => command.push(junk),
            2 => command.truncate(command.len().max(2) - 1),
            _ => {
                let place = place.max(1).min(command.len() - 1);
                if place > 0 {
                    command[place] = junk;
                }
            }
        }
    }

    fn key(&mut self, family: &str, count: usize) -> String {
        if self.chance(15) {
            return self.any();
        }
        format!("{family}{}", self.below(count))
    }

    fn any(&mut self) -> String {
        let family = self.pick(&["s", "h", "l", "t", "z"]);
        format!("{family}{}", self.below(3))
    }

    /// Hundreds of seconds that no key was given yet.
    fn time(&mut self) -> u64 {
        loop {
            let time = self.rng.u64(10..100_000);
            if self.times.insert(time) {
                return time;
            }
        }
    }

    fn value(&mut self) -> Vec<u8> {
        match self.below(12) {
            0 => Vec::new(),
            1 => b"\0\xff\r\n\"'".to_vec(),
            2 => vec![b'v'; self.below(200)],
            3 | 4 => self.rng.i64(-20..20).to_string().into_bytes(),
            5 => self.quarter().into_bytes(),
            6 => b"9223372036854775800".to_vec(),
            _ => self.member(),
        }
    }

    fn member(&mut self) -> Vec<u8> {
        match self.below(20) {
            0 => Vec::new(),
            1 => vec![b'm'; 80],
            2 => b"\xfe\0".to_vec(),
            3..7 => self.below(6).to_string().into_bytes(),
            _ => format!("m{}", self.below(8)).into_bytes(),
        }
    }

    fn quarter(&mut self) -> String {
        const ODD: [&str; 8] = ["inf", "-inf", "+inf", "1e3", "0", ".5", "3.", "Infinity"];
        if self.chance(6) {
            return self.pick(&ODD).to_owned();
        }
        (f64::from(self.rng.i32(-40..40)) / 4.0).to_string()
    }

    fn bound(&mut self) -> String {
        const ENDS: [&str; 6] = ["-inf", "+inf", "(1", "(-inf", "0", "(x"];
        match self.below(4) {
            0 => self.pick(&ENDS).to_owned(),
            1 => format!("({}", self.quarter()),
            _ => self.quarter(),
        }
    }

    /// The word that a name stands for.
    fn word(&mut self, word: &str) -> Vec<u8> {
        const PATTERNS: [&str; 10] =
            ["*", "m*", "?1", "[sh]*", "s[0-1]", "[^m]*", "m\\1", "", "l?", "*[12]"];
        const NUMBERS: [&str; 6] =
            ["9223372036854775807", "-9223372036854775808", "1", "x", "1.0", "0"];
        let text = match word {
            "$s" => self.key("s", 4),
            "$h" => self.key("h", 3),
            "$l" => self.key("l", 3),
            "$t" => self.key("t", 4),
            "$z" => self.key("z", 3),
            // Sorted sets all of whose scores are 0.
            "$x" => format!("x{}", self.below(2)),
            "$k" => self.any(),
            "$v" => return self.value(),
            "$f" => return self.member(),
            "$d" => self.quarter(),
            "$i" => self.rng.i32(-3..8).to_string(),
            // Patterns of SORT, those with a place for the element first.
            "$Q" => self.pick(&["w_*", "w_*", "w_*->f", "*", "w_*->"]).to_owned(),
            "$q" => self.pick(&["w_*", "w_*->f", "*", "w_", "#", "*->->", "s*"]).to_owned(),
            // Places of bits, and strings whose bits are alike.
            "$o" => self.below(90).to_string(),
            "$a" => return vec![self.pick(&[0, 0xff, 0xff, b'U']); self.below(9)],
            "$r" => self.rng.i32(-8..8).to_string(),
            "$n" if self.chance(25) => self.pick(&NUMBERS).to_owned(),
            "$n" => self.rng.i32(-9..9).to_string(),
            "$c" => self.bound(),
            "$b" => match self.below(5) {
                0 => self.pick(&["-", "+", "x", "(", "["]).to_owned(),
                1 => format!("(m{}", self.below(8)),
                _ => format!("[m{}", self.below(8)),
            },
            "$m" => self.pick(&PATTERNS).to_owned(),
            "$w" => self.pick(&["0", "0", "0", "1", "1", "2", "15", "16", "-1", "x"]).to_owned(),
            "$e" => (self.time() * 100).to_string(),
            "$p" => (self.time() * 100_000).to_string(),
            "$E" => (self.now / 1000 + self.time() * 100).to_string(),
            "$P" => (self.now + self.time() * 100_000).to_string(),
            word => {
                assert!(!word.starts_with('$'), "{word} is no placeholder");
                word.to_owned()
            }
        };
        text.into_bytes()
    }
}

/// A command as clients send it.
pub(crate) fn encode(command: &Command) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", command.len()).into_bytes();
    for word in command {
        bytes.extend(format!("${}\r\n", word.len()).into_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// A command as people type it, if it needs no quotes.
pub(crate) fn inline(command: &Command) -> Option<Vec<u8>> {
    let plain = |word: &Vec<u8>| {
        !word.is_empty()
            && word.iter().all(|byte| byte.is_ascii_graphic() && !b"\"'".contains(byte))
    };
    let first = command.first().and_then(|word| word.first());
    if !command.iter().all(plain) || first == Some(&b'*') {
        return None;
    }
    let mut line = command.join(&b' ');
    line.extend_from_slice(b"\r\n");
    Some(line)
}
