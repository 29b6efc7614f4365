use super::*;

fn parse(line: &str) -> Result<Command, CommandError> {
    line.parse()
}

#[test]
fn every_field_of_an_impairment_is_a_key() {
    let line = "impair n1 rx latency=5ms jitter=250us loss=0.1 burst=0.01/0.2/1 duplicate=0.2 \
                reorder=0.3 reorder_by=2ms corrupt=0.4 bandwidth=1000000 queue=3000";
    let impairment = Impairment {
        latency: Duration::from_millis(5),
        jitter: Duration::from_micros(250),
        loss: 0.1,
        burst: Some(Burst { enter: 0.01, leave: 0.2, loss: 1.0 }),
        duplicate: 0.2,
        reorder: 0.3,
        reorder_by: Duration::from_millis(2),
        corrupt: 0.4,
        bandwidth: Some(1_000_000),
        queue: Some(3_000),
    };
    let expected = Command::Impair { port: "n1".to_owned(), way: Way::Rx, impairment };
    assert_eq!(parse(line), Ok(expected));
}

#[test]
fn the_other_commands_are_understood_with_any_spacing() {
    let port = || "n1".to_owned();
    let cases = [
        ("clear n1", Command::Clear { port: port() }),
        ("cut n1 tx", Command::Cut { port: port(), way: Way::Tx }),
        ("cut n1 both", Command::Cut { port: port(), way: Way::Both }),
        ("  heal \t n1 both ", Command::Heal { port: port(), way: Way::Both }),
        ("down n1", Command::Down { port: port() }),
        ("up n1", Command::Up { port: port() }),
        ("ageing 30s", Command::Ageing(Duration::from_secs(30))),
        ("stats", Command::Stats),
    ];
    for (line, command) in cases {
        assert_eq!(parse(line), Ok(command), "{line}");
    }
}

#[test]
fn each_mistake_is_answered_with_its_fix() {
    let cases = [
        ("", "say impair, clear"),
        ("impeir n1 tx loss=1", "unknown command \"impeir\""),
        ("impair n1", "say `impair PORT tx|rx|both KEY=VALUE ...`"),
        ("impair n1 tx", "say `impair PORT"),
        ("impair n1 tx loss", "say `impair PORT"),
        ("impair n1 tx loss=0", "say `impair PORT"),
        ("impair n1 up loss=1", "say tx, rx or both"),
        ("impair n1 tx delay=5ms", "unknown key \"delay\": say latency"),
        ("impair n1 tx latency=5", "say a duration, as 5ms"),
        ("impair n1 tx loss=10", "say a share from 0.0 to 1.0"),
        ("impair n1 tx loss=NaN", "say a share from 0.0 to 1.0"),
        ("impair n1 tx burst=0.1/0.2", "say ENTER/LEAVE/LOSS"),
        ("impair n1 tx bandwidth=0", "say bits per second"),
        ("impair n1 tx queue=-1", "say a number of bytes"),
        ("cut n1", "say `cut PORT tx|rx|both`"),
        ("cut n1 sideways", "unknown direction \"sideways\""),
        ("clear", "say `clear PORT`"),
        ("heal n1", "say `heal PORT tx|rx|both`"),
        ("stats now", "say `stats`"),
        ("ageing soon", "bad value \"soon\" for ageing"),
    ];
    for (line, fix) in cases {
        let answer = parse(line).expect_err(line).to_string();
        assert!(answer.contains(fix), "{line:?}: {answer}");
    }
}
