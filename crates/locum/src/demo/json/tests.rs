use super::*;
use crate::demo::testing;

fn parsed(line: &Value) -> Value {
    let text = line.to_string();
    assert!(!text.contains('\n'), "one line each");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn every_line_has_its_event_its_time_and_the_nodes() {
    for written in testing::entries() {
        let line = parsed(&entry(&written));
        assert!(line["event"].is_string(), "{line}");
        assert_eq!(line["at_ms"], json!(ms(written.at - Instant::ZERO)));
        assert_eq!(line["nodes"].as_array().map(Vec::len), Some(3));
    }
}

#[test]
fn a_takeover_carries_cause_term_and_detection() {
    let lines = testing::entries().iter().map(entry).collect::<Vec<_>>();
    let line = lines.iter().find(|line| line["cause"].is_string()).unwrap();
    let expected = json!({
        "event": "mode", "at_ms": 101.0, "nodes": ["dead", "active", "waiting"], "node": 2,
        "to": "active", "cause": "resigned(node 1, crash)", "term": 2, "detection_ms": 0.64,
    });
    assert_eq!(parsed(line), expected);
}

#[test]
fn the_summary_tells_each_fault_and_the_verdict() {
    let line = parsed(&summary(&testing::summary()));
    assert_eq!(line["event"], "summary");
    assert_eq!((&line["checks"], &line["failed"]), (&json!(15), &json!(1)));
    let kill = &line["acts"][1];
    assert_eq!((&kill["fault"], &kill["active"]), (&json!("SIGKILL"), &json!(2)));
    assert_eq!(kill["taken_over_after_ms"], 1.0);
    let tcp = &kill["clients"][2];
    assert_eq!((&tcp["client"], &tcp["longest_silence_ms"]), (&json!("tcp"), &json!(54.0)));
    assert_eq!(tcp["reconnected_after_ms"], 2.0);
}
