#include "worker/report/page.h"

/* Every colour is a variable; a dark page replaces them. Paper is always light. */
static const char colours[] =
    ":root{--paper:#fff;--ink:#1d2530;--soft:#5b6675;--line:#d9dfe7;--card:#f6f8fa;"
    "--note:#fff6e0;--note-line:#d9a520;--good:#1b7f4d;--bad:#b3352b;"
    "--c0:#1f6fb2;--c1:#c2560a;--c2:#1b8a5a;--c3:#8a4fbf;--c4:#a3184f;--c5:#5b6675}\n"
    "@media screen and (prefers-color-scheme:dark){:root{--paper:#14181e;--ink:#e4e9ef;"
    "--soft:#9aa7b6;--line:#333d49;--card:#1c222a;--note:#2b2512;--note-line:#c99a2e;"
    "--good:#5cc991;--bad:#ff8d80;--c0:#62b0f0;--c1:#ff9d4d;--c2:#56c991;--c3:#c497f2;"
    "--c4:#ff7eab;--c5:#9aa7b6}}\n";

static const char layout[] =
    "*{box-sizing:border-box}\n"
    "body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,"
    "\"Segoe UI\",Roboto,\"Noto Sans\",\"Noto Sans CJK JP\",\"Hiragino Sans\",\"Yu Gothic\","
    "\"Noto Sans JP\",sans-serif;overflow-wrap:anywhere}\n"
    "main{max-width:1060px;margin:0 auto;padding:1.5rem 1.25rem 3rem}\n"
    "h1{margin:.1rem 0 .2rem;font-size:2rem;line-height:1.2}\n"
    "h2{margin:0 0 .8rem;font-size:1.3rem}h3{margin:1.4rem 0 .5rem;font-size:1.02rem}\n"
    "p{margin:.5rem 0}.kind{margin:0;color:var(--soft);font-size:.85rem;letter-spacing:.06em;"
    "text-transform:uppercase}\n"
    ".facts,.hint,.none,footer{color:var(--soft);font-size:.92rem}\n"
    "section{border-top:1px solid var(--line);padding-top:1.2rem;margin-top:1.8rem}\n"
    "nav{display:flex;flex-wrap:wrap;gap:.3rem 1rem;margin:1.2rem 0 0;font-size:.92rem}\n"
    "a{color:var(--c0)}a:focus-visible,[tabindex]:focus-visible{outline:2px solid var(--c0);"
    "outline-offset:2px}\n"
    "code,pre{font-family:ui-monospace,Menlo,Consolas,\"DejaVu Sans Mono\",\"Noto Sans Mono CJK "
    "JP\",monospace;font-size:.86em}\n"
    ".missing{background:var(--note);border-left:4px solid var(--note-line);padding:.7rem 1rem;"
    "margin:1rem 0;border-radius:4px}.missing ul{margin:.3rem 0 0;padding-left:1.2rem}\n"
    ".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(158px,1fr));gap:.7rem;"
    "margin:1.2rem 0}\n"
    ".tile{background:var(--card);border:1px solid var(--line);border-radius:8px;"
    "padding:.6rem .9rem}.tile dt{color:var(--soft);font-size:.85rem}\n"
    ".tile dd{margin:0;font-size:1.3rem;font-weight:600;font-variant-numeric:tabular-nums}\n"
    ".tile small{display:block;font-size:.82rem;font-weight:400;color:var(--soft)}\n";

static const char tables[] =
    ".wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}\n"
    "th,td{padding:.34rem .7rem;text-align:left;vertical-align:top;"
    "border-bottom:1px solid var(--line)}\n"
    "thead th{color:var(--soft);font-weight:500;font-size:.88rem;white-space:nowrap}\n"
    "th{overflow-wrap:normal}tbody th{font-weight:500}td.n,th.n{text-align:right;white-space:nowrap}\n"
    ".full{width:100%}.bar{width:38%;min-width:130px}\n"
    ".track{position:relative;height:1.1rem;margin-top:.2rem;background:var(--card);"
    "border-radius:3px}\n"
    ".track i,.track b,.track u{position:absolute;top:0;bottom:0;border-radius:3px}\n"
    ".track u{left:0;background:var(--c0);opacity:.18}"
    ".track i{background:var(--c0);opacity:.45}.track b{width:3px;margin-left:-1px;"
    "background:var(--c0)}.track .fill{opacity:.75}\n"
    ".ledger td{border:0;padding:.16rem .6rem}.ledger .sum td{border-top:1px solid var(--ink);"
    "font-weight:600}.ledger .sign{text-align:right;color:var(--soft)}\n"
    ".yes{color:var(--good)}.no{color:var(--bad)}\n"
    ".matrix td{text-align:right;border:1px solid var(--line);min-width:3.2rem}\n"
    ".matrix th{border:1px solid var(--line)}.matrix .strong{color:#fff}\n"
    ".matrix .hit{outline:2px solid var(--ink);outline-offset:-2px}\n"
    ".sum64{font-size:.8em;word-break:break-all}\n";

static const char figures[] =
    ".charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,430px),1fr));"
    "gap:1rem}\n"
    ".chart{margin:0;padding:.8rem .9rem .4rem;background:var(--card);"
    "border:1px solid var(--line);border-radius:8px}\n"
    ".chart figcaption{font-weight:600;margin-bottom:.3rem}\n"
    "svg{display:block;width:100%;height:auto}svg text{fill:var(--soft);font-size:12px}\n"
    "svg .key{fill:var(--ink)}.grid text{text-anchor:end}.ticks text{text-anchor:middle}\n"
    ".grid path{stroke:var(--line)}.ticks path,.axis{stroke:var(--soft);fill:none}\n"
    ".line{fill:none;stroke-width:2;stroke-linejoin:round}.band{opacity:.16}\n"
    ".l0{stroke:var(--c0)}.l1{stroke:var(--c1);stroke-dasharray:7 3}\n"
    ".l2{stroke:var(--c2);stroke-dasharray:2 3}.l3{stroke:var(--c3);stroke-dasharray:9 3 2 3}\n"
    ".l4{stroke:var(--c4)}.l5{stroke:var(--c5)}\n"
    ".dot{fill:var(--card);stroke-width:2;stroke-dasharray:none}\n";

static const char texts[] =
    ".cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,430px),1fr));"
    "gap:.8rem}\n"
    ".card{background:var(--card);border:1px solid var(--line);border-left:4px solid "
    "var(--line);border-radius:6px;padding:.6rem .9rem;min-width:0}\n"
    ".card.right{border-left-color:var(--good)}.card.wrong{border-left-color:var(--bad)}\n"
    ".card h4{margin:0 0 .3rem;font-size:.85rem;color:var(--soft);font-weight:500}\n"
    ".card dl{margin:.4rem 0 0;display:grid;grid-template-columns:max-content 1fr;"
    "gap:.15rem .7rem;font-size:.93rem}.card dt{color:var(--soft)}.card dd{margin:0;min-width:0}\n"
    ".block{white-space:pre-wrap;max-height:14rem;overflow:auto}.input{font-weight:500}\n"
    "pre{background:var(--card);border:1px solid var(--line);border-radius:6px;"
    "padding:.8rem;margin:0;max-height:28rem;overflow:auto;white-space:pre-wrap}\n";

/* Narrow screens, and paper. */
static const char media[] =
    "@media (max-width:560px){main{padding:1rem .8rem 2rem}h1{font-size:1.6rem}"
    ".tiles{grid-template-columns:1fr 1fr}th,td{padding:.3rem .4rem}.bar{min-width:90px}"
    ".scores .bar,.scores .graph{display:none}.scores td.n{white-space:normal}"
    "svg text{font-size:14px}.chart{padding:.6rem .4rem .3rem}}\n"
    "@page{size:A4;margin:15mm 14mm}\n"
    "@media print{html{font-size:12px}body{font-size:9.5pt}main{max-width:none;padding:0}nav{display:none}"
    "*{print-color-adjust:exact;-webkit-print-color-adjust:exact}"
    "section{break-inside:auto;margin-top:1rem;padding-top:.8rem}"
    "h2,h3,h4{break-after:avoid}.chart,.card,.tile,tr,.missing{break-inside:avoid}"
    ".charts,.cards{grid-template-columns:1fr 1fr}.block,pre{max-height:none;overflow:visible}"
    "pre{font-size:8pt}.tiles{grid-template-columns:repeat(4,1fr)}}\n";

void page_style(html *h)
{
    html_raw(h, "<style>\n");
    html_raw(h, colours);
    html_raw(h, layout);
    html_raw(h, tables);
    html_raw(h, figures);
    html_raw(h, texts);
    html_raw(h, media);
    html_raw(h, "</style>\n");
}
