//! Entry points of the fuzz targets; ordinary tests replay their corpora through the same functions.

mod key_values;

use locum_stack::service::Service;

use crate::http::{Http, MemFiles};
use crate::testing::Bench;
use crate::{Chargen, Discard, Echo};

pub use key_values::kv;

/// Pieces from one replacement to the next: each costs as much as many pieces.
const REPLACE_EVERY: usize = 5;

/// Feeds `input` to an http connection in two ways: at once with ample credit, and cut up with scarce
/// credit by a service that is replaced by its restored snapshot now and then.
///
/// The first byte says how to cut.
///
/// # Panics
/// When the client could tell the two apart. That is a defect.
pub fn http(input: &[u8]) {
    let Some((cut, stream)) = input.split_first() else { return };
    let mut whole = Bench::new(http_service());
    let flow = whole.open_with_window(1 << 20);
    whole.data(flow, stream);
    whole.finish(flow);
    whole.drain(flow);

    let mut pieces = Bench::new(http_service());
    let size = usize::from(cut >> 3) + 1;
    assert_eq!(pieces.open_with_window(usize::from(cut & 7) * 97 + 1), flow);
    for (index, chunk) in stream.chunks(size).enumerate() {
        pieces.data(flow, chunk);
        if index % REPLACE_EVERY == 0 {
            pieces.replace(http_service()).expect("a service reads its own snapshots");
        }
        pieces.ack(flow, size);
    }
    pieces.finish(flow);
    pieces.drain(flow);

    let (whole, pieces) = (whole.record(flow), pieces.record(flow));
    assert_eq!(whole.sent, pieces.sent, "what is sent must not depend on how the input is cut");
    assert_eq!((whole.closed, whole.aborted), (true, false), "a finished client is let go");
    assert_eq!((pieces.closed, pieces.aborted), (true, false), "a finished client is let go");
}

/// One of each service on its well-known port, for the target of whole nodes.
pub fn well_known() -> Vec<(u16, Box<dyn Service>)> {
    vec![
        (7, Box::new(Echo::default())),
        (9, Box::new(Discard)),
        (19, Box::new(Chargen::default())),
        (80, Box::new(http_service())),
    ]
}

/// The files behind the http target; small, because every byte is sent one by one.
fn http_service() -> Http {
    let files = MemFiles::new()
        .with("index.html", "<h1>hello</h1>\n", 784_111_777)
        .with("empty", "", 0)
        .with("dir/index.html", "in a directory\n", -1)
        .with("dir/digits.txt", "0123456789", 1_000_000_000);
    Http::new(files)
}
