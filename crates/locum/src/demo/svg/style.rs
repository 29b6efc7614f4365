//! The look of the picture: colours for light and dark pages, and the hatching of a cut cable.

/// The style sheet. Light is the default; it must not use what only browsers understand.
pub(super) const STYLE: &str = "\
text { font-family: 'Inter', 'Segoe UI', system-ui, 'Helvetica Neue', Arial, sans-serif; }
text { font-size: 12px; fill: #1f2328; }
.title { font-size: 19px; font-weight: 650; }
.section, .label { font-weight: 600; }
.muted, .small { fill: #59636e; }
.small, .tick { font-size: 11px; }
.tick { fill: #6e7781; }
.caption { font-size: 11px; font-weight: 600; fill: #82071e; }
.figure { font-size: 10.5px; font-weight: 650; fill: #cf222e; }
.card { fill: #ffffff; stroke: #d1d9e0; }
.panel { fill: #f6f8fa; stroke: #d1d9e0; }
.grid { stroke: #e3e8ed; fill: none; }
.fault { stroke: #82071e; fill: none; stroke-dasharray: 2 2; opacity: 0.75; }
.active { fill: #1f9d4d; }
.waiting { fill: #c6d0da; }
.joining { fill: #d9a520; }
.fenced { fill: #8250df; }
.frozen { fill: #4aa3e0; }
.dead { stroke: #cf222e; stroke-width: 1.5px; stroke-dasharray: 1.5 4; fill: none; }
.cut { fill: url(#hatch); }
.hatch { stroke: #ffffff; stroke-width: 3px; opacity: 0.8; }
.protected { fill: #7fcf9b; }
.unprotected { fill: #f0883e; }
.answered { fill: #8fb8ea; }
.answer { stroke: #2f6fc4; stroke-width: 1.4px; fill: none; }
.silence { fill: #e5484d; }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3; }
.muted, .small { fill: #9aa4af; }
.tick { fill: #8b949e; }
.caption { fill: #ff9a9a; }
.figure { fill: #ff8a80; }
.card { fill: #0d1117; stroke: #30363d; }
.panel { fill: #151b23; stroke: #30363d; }
.grid { stroke: #262c34; }
.fault { stroke: #ff9a9a; }
.active { fill: #2ea65a; }
.waiting { fill: #3d4752; }
.joining { fill: #c69026; }
.fenced { fill: #986ee2; }
.frozen { fill: #4f9ad9; }
.dead { stroke: #f85149; }
.hatch { stroke: #0d1117; }
.protected { fill: #1c6b3a; }
.unprotected { fill: #db6d28; }
.answered { fill: #2c5a94; }
.answer { stroke: #6cb0ff; }
.silence { fill: #e5484d; }
}
";

/// What the style sheet refers to.
pub(super) const DEFINITIONS: &str = "\
<pattern id=\"hatch\" width=\"7\" height=\"7\" patternTransform=\"rotate(45)\" \
patternUnits=\"userSpaceOnUse\">\
<path class=\"hatch\" d=\"M0 0V7\"/></pattern>";
