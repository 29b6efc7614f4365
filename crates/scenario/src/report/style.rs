//! The look of the page: its colours, for light and dark screens, and its style sheet.

use std::fmt::Write as _;

/// A colour's name, and what it is on a light and on a dark page. Print is light.
pub(super) struct Colour {
    pub(super) name: &'static str,
    pub(super) light: &'static str,
    pub(super) dark: &'static str,
}

const fn colour(name: &'static str, light: &'static str, dark: &'static str) -> Colour {
    Colour { name, light, dark }
}

/// Every colour. A text's on a bar is called after the bar: `on-active` is legible on `active`.
pub(super) const COLOURS: [Colour; 31] = [
    colour("page", "#f6f8fa", "#0d1117"),
    colour("card", "#ffffff", "#161c24"),
    colour("rim", "#d1d9e0", "#343c46"),
    colour("grid", "#e6eaee", "#262e38"),
    colour("text", "#1f2328", "#e6edf3"),
    colour("muted", "#59636e", "#9aa4af"),
    colour("good", "#116329", "#56d364"),
    colour("good-back", "#dafbe1", "#12261a"),
    colour("bad", "#a40e26", "#ff9a9a"),
    colour("bad-back", "#ffebe9", "#33171a"),
    colour("active", "#1a7f37", "#238636"),
    colour("on-active", "#ffffff", "#ffffff"),
    colour("waiting", "#c9d3dc", "#3d4752"),
    colour("on-waiting", "#1f2328", "#e6edf3"),
    colour("joining", "#d9a520", "#c69026"),
    colour("on-joining", "#1f2328", "#14100a"),
    colour("fenced", "#8250df", "#8250df"),
    colour("on-fenced", "#ffffff", "#ffffff"),
    colour("frozen", "#6cb6ea", "#4f9ad9"),
    colour("on-frozen", "#0b1a26", "#0b1a26"),
    colour("hatch-frozen", "#a5d3f4", "#7db8e8"),
    colour("dead", "#fff1f0", "#241618"),
    colour("on-dead", "#a40e26", "#ff9a9a"),
    colour("hatch-dead", "#f3c5c5", "#4e262a"),
    colour("beat", "#6e7781", "#8b949e"),
    colour("answered", "#2f6fc4", "#5aa0f2"),
    colour("unanswered", "#cf222e", "#f85149"),
    colour("fault", "#1f2328", "#e6edf3"),
    colour("announcement", "#bf3989", "#f778ba"),
    colour("answer", "#59636e", "#9aa4af"),
    colour("probe", "#bc4c00", "#ffa657"),
];

/// The whole style sheet. It holds no `<` and no `&`, so that it is good XML as it stands.
pub(super) fn sheet() -> String {
    let mut sheet = String::from(":root{color-scheme:light dark;");
    let mut dark = String::new();
    for colour in &COLOURS {
        // Writing to a String cannot fail.
        let _ = write!(sheet, "--{}:{};", colour.name, colour.light);
        let _ = write!(dark, "--{}:{};", colour.name, colour.dark);
    }
    let _ = write!(
        sheet,
        "}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n{RULES}"
    );
    sheet
}

const RULES: &str = "\
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--text);font:15px/1.5 system-ui,-apple-system,\
'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif;-webkit-text-size-adjust:100%;\
print-color-adjust:exact;-webkit-print-color-adjust:exact}
main{max-width:1160px;margin:0 auto;padding:24px 20px 40px}
h1{font-size:24px;line-height:1.25;margin:0 0 4px;overflow-wrap:anywhere}
h2{font-size:16px;margin:28px 0 8px}
p{margin:0 0 12px;max-width:75ch}
a{color:inherit}
code{font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace}
.about{color:var(--muted)}
.verdict{display:block;font-weight:650;font-size:17px;padding:10px 14px;border-radius:8px;\
border-left:6px solid;margin:14px 0;max-width:none}
.verdict.held{color:var(--good);background:var(--good-back)}
.verdict.failed{color:var(--bad);background:var(--bad-back)}
.verdict.none{color:var(--muted);background:var(--card)}
.failures{margin:-4px 0 16px;padding:0 0 0 20px}
.failures li{margin:4px 0}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(158px,1fr));gap:10px;\
list-style:none;margin:0 0 14px;padding:0}
.figures li{background:var(--card);border:1px solid var(--rim);border-radius:8px;padding:8px 12px}
.figures b{display:block;font-size:20px;line-height:1.3;font-variant-numeric:tabular-nums}
.figures span{display:block;font-size:13px;color:var(--muted);line-height:1.35}
.figures .alarm b{color:var(--bad)}
.run{display:flex;flex-wrap:wrap;gap:4px 20px;margin:0 0 14px;font-size:14px;color:var(--muted)}
.run b{color:var(--text);font-weight:600}
.run code{color:var(--text);overflow-wrap:anywhere}
figure{margin:0;background:var(--card);border:1px solid var(--rim);border-radius:8px;padding:12px}
.scroll{overflow-x:auto;max-width:100%}
.scroll:focus-visible{outline:2px solid var(--answered);outline-offset:2px}
svg{display:block}
svg.narrow{display:none}
.legend{display:flex;flex-wrap:wrap;gap:4px 16px;list-style:none;margin:10px 2px 0;padding:0;\
font-size:13px;color:var(--muted)}
.legend li{display:inline-flex;align-items:center;gap:6px}
.legend svg{flex:none}
.moments{display:grid;grid-template-columns:repeat(auto-fill,minmax(344px,1fr));gap:12px;\
align-items:start}
.moments figure{padding:10px 7px}
.moments svg{width:100%;min-width:328px;max-width:430px;height:auto;margin:0 auto}
figcaption{font-size:13px;line-height:1.4;color:var(--muted);padding:0 6px 8px}
figcaption strong{display:block;color:var(--text);font-size:14px;overflow-wrap:anywhere}
figcaption .felt{color:var(--bad);font-weight:600}
.note{font-size:13px;color:var(--muted);margin:8px 0 0}
.table{background:var(--card);border:1px solid var(--rim);border-radius:8px}
table{border-collapse:collapse;width:100%;font-size:14px}
th,td{text-align:left;vertical-align:top;padding:6px 12px;border-bottom:1px solid var(--grid)}
tbody tr:last-child td{border-bottom:0}
th{font-size:13px;color:var(--muted);font-weight:600;white-space:nowrap}
.n{width:1%;text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
.w{min-width:180px}
.t{white-space:nowrap}
td.held{color:var(--good);font-weight:600;white-space:nowrap}
td.failed,td.alarm{color:var(--bad);font-weight:650;white-space:nowrap}
text{font-family:inherit;font-size:11px;fill:var(--text)}
text{stroke-width:3px;paint-order:stroke;stroke-linejoin:round}
.name,.flag,.figure{font-weight:600;stroke:var(--card)}
.name{font-size:12px}
.mark{fill:var(--muted)}
.flag{fill:var(--fault)}
.figure{font-weight:650;fill:var(--bad)}
.grid{stroke:var(--grid);fill:none}
.axis{stroke:var(--rim);fill:none}
.fault{stroke:var(--fault);fill:none;stroke-dasharray:3 2;stroke-width:1.2px}
.target{fill:transparent;stroke:none}
rect.active,rect.waiting,rect.joining,rect.fenced,rect.frozen{stroke:var(--beat);\
stroke-width:.5px}
rect.active{fill:var(--active)}
rect.waiting{fill:var(--waiting)}
rect.joining{fill:var(--joining)}
rect.fenced{fill:var(--fenced)}
rect.frozen{fill:var(--frozen)}
rect.dead{fill:var(--dead);stroke:var(--unanswered);stroke-width:.6px}
.on-active{fill:var(--on-active);stroke:var(--active)}
.on-waiting{fill:var(--on-waiting);stroke:var(--waiting)}
.on-joining{fill:var(--on-joining);stroke:var(--joining)}
.on-fenced{fill:var(--on-fenced);stroke:var(--fenced)}
.on-frozen{fill:var(--on-frozen);stroke:var(--frozen)}
.on-dead{fill:var(--on-dead);stroke:var(--dead)}
.hatch-frozen{fill:url(#hatch-frozen)}
.hatch-dead{fill:url(#hatch-dead)}
.line-frozen{stroke:var(--hatch-frozen);stroke-width:2px}
.line-dead{stroke:var(--hatch-dead);stroke-width:2px}
.beat{stroke:var(--beat);fill:none}
.beats{fill:var(--beat);opacity:.5}
.announcement{fill:var(--announcement);stroke:var(--card);stroke-width:.6px}
.answer{fill:var(--answer)}
.probe{fill:var(--card);stroke:var(--probe);stroke-width:1.4px}
.answered{stroke:var(--answered);stroke-width:1.4px;fill:none}
.answers{fill:var(--answered)}
.wait{fill:var(--answered);opacity:.55}
.unanswered{stroke:var(--unanswered);stroke-width:1.6px;fill:none}
.losses,.silence{fill:var(--unanswered)}
.lost,.lost-halo{fill:none;stroke:var(--unanswered);stroke-width:2px}
.lost-halo{stroke:var(--card);stroke-width:5px}
@media (max-width:700px){
main{padding:16px 8px 32px}
h1{font-size:21px}
svg.wide{display:none}
svg.narrow{display:block;width:100%;min-width:328px;max-width:430px;height:auto;margin:0 auto}
figure{padding:10px 7px}
.figures{grid-template-columns:1fr 1fr}
.figures b{font-size:18px}
th,td{padding:6px 9px}
.w{min-width:140px}
}
@media print{
@page{size:A4 landscape;margin:10mm}
main{max-width:none;padding:0}
figure,.figures li,tr{break-inside:avoid}
.scroll{overflow:visible}
}
";

/// What the style sheet refers to: hatchings, in a picture that takes no room.
pub(super) const PATTERNS: &str = "\
<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"0\" height=\"0\" style=\"position:absolute\" \
aria-hidden=\"true\"><defs>\
<pattern id=\"hatch-frozen\" width=\"6\" height=\"6\" patternTransform=\"rotate(45)\" \
patternUnits=\"userSpaceOnUse\"><path class=\"line-frozen\" d=\"M0 0V6\"/></pattern>\
<pattern id=\"hatch-dead\" width=\"6\" height=\"6\" patternTransform=\"rotate(-45)\" \
patternUnits=\"userSpaceOnUse\"><path class=\"line-dead\" d=\"M0 0V6\"/></pattern>\
</defs></svg>\n";

#[cfg(test)]
mod tests;
