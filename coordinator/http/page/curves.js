// The curves on canvases of Chart.js (a global of its own script), each with its newest value, a sentence for those who
// do not see it, and a table.
import { byId, h, keyed, setAttribute, setText } from './dom.js';
import { curves, describe, newest, tableOf } from './curves_model.js';
import { unknown } from './format.js';

const { Chart } = window;
const dotsMax = 25;

/* Colours are named in style.css and differ between light and dark: the browser says what they are now. */
function paletteOf() {
    const probe = h('span', { class: 'visually-hidden' });
    document.body.append(probe);
    const palette = {};
    for (const name of ['ink', 'muted', 'line', 'surface', 'teacher', 'student', 'server']) {
        probe.style.color = `var(--${name})`;
        palette[name] = getComputedStyle(probe).color;
    }
    palette.font = getComputedStyle(document.body).fontFamily;
    probe.remove();
    return palette;
}

const faded = (colour) => colour.replace(/^rgb\((.*)\)$/, 'rgba($1, 0.28)');

function datasetOf(series, palette) {
    const colour = palette[series.colour];
    return {
        label: series.name,
        data: series.data,
        borderColor: series.faint ? faded(colour) : colour,
        backgroundColor: colour,
        borderWidth: series.faint ? 1 : 2,
        borderDash: series.dash ?? [],
        pointRadius: (series.dots && series.data.length <= dotsMax) || series.data.length === 1 ? 3 : 0,
        pointHitRadius: series.faint ? 0 : 8,
        clip: 5, // a dot at the edge stays whole
        faint: series.faint,
        order: series.faint ? 1 : 0,
    };
}

function optionsOf(curve, palette) {
    const ticks = { color: palette.muted, font: { size: 11, family: palette.font }, maxRotation: 0 };
    const grid = { color: palette.line, drawBorder: false };
    return {
        animation: false,
        responsive: true,
        maintainAspectRatio: false,
        parsing: false,
        normalized: true,
        interaction: { mode: 'nearest', axis: 'x', intersect: false },
        layout: { padding: { top: 4, right: 6 } },
        plugins: {
            legend: { display: false },
            decimation: { enabled: true, algorithm: 'min-max' },
            tooltip: {
                filter: (item) => !item.dataset.faint,
                callbacks: {
                    title: (items) =>
                        items.length > 0 ? `${curve.x.name} ${curve.x.text(items[0].parsed.x)}` : '',
                    label: (item) => `${item.dataset.label}: ${curve.text(item.parsed.y)}`,
                },
            },
        },
        scales: {
            x: { type: 'linear', min: 0, grid: { ...grid, display: false }, ticks },
            y: {
                beginAtZero: curve.zero,
                suggestedMax: curve.top,
                grid,
                ticks: {
                    ...ticks,
                    maxTicksLimit: 5,
                    precision: curve.whole ? 0 : undefined,
                    callback: (y) => curve.text(y),
                },
            },
        },
    };
}

class Panel {
    #curve;
    #chart = null;
    #canvas = h('canvas', { role: 'img' });
    #value = h('span', { class: 'newest' });
    #legend = h('ul', { class: 'legend', 'aria-hidden': 'true' });
    #empty = h('p', { class: 'empty' }, 'Nothing is measured yet.');
    #table = h('table', { class: 'figures' });
    #details;
    #series = [];
    #palette = null;
    #seen = false; // it is on the screen: what nobody sees is not drawn

    constructor(curve) {
        this.#curve = curve;
        this.#details = h(
            'details',
            { toggle: () => this.#fillTable() },
            h('summary', {}, 'Table', h('span', { class: 'visually-hidden' }, ` of ${curve.title}`)),
            h(
                'div',
                { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': `Table of ${curve.title}` },
                this.#table,
            ),
        );
        this.node = h(
            'figure',
            { class: 'panel', id: `curve-${curve.id}` },
            h(
                'figcaption',
                {},
                h('h3', {}, curve.title, curve.unit === '' ? null : h('small', {}, ` ${curve.unit}`)),
                this.#value,
            ),
            h('div', { class: 'canvas' }, this.#canvas, this.#empty),
            this.#legend,
            this.#details,
        );
        this.#details.hidden = this.#canvas.hidden = true;
    }

    show(picture, palette) {
        const curve = this.#curve;
        const series = curve.series(picture);
        this.#series = series;
        this.node.hidden = curve.shown ? !curve.shown(picture) : false;
        const some = series.some((s) => s.data.length > 0);
        this.#empty.hidden = some;
        this.#canvas.hidden = !some;
        this.#details.hidden = !some;
        const drawn = series.filter((s) => !s.faint);
        setText(this.#value, some && drawn.length === 1 ? newest(curve, series) : '');
        setAttribute(this.#canvas, 'aria-label', describe(curve, series));
        setAttribute(this.node, 'data-points', Math.max(0, ...series.map((s) => s.data.length)));
        keyed(
            this.#legend,
            drawn.length > 1 ? drawn : [],
            (s) => s.name,
            (s) =>
                h(
                    'li',
                    { 'data-colour': s.colour, 'data-dash': s.dash ? '' : null },
                    h('span', { class: 'swatch' }),
                    h('span'),
                ),
            (node, s) => setText(node.lastChild, `${s.name} ${newest(curve, [s])}`),
        );
        this.#palette = palette;
        this.#draw();
        this.#fillTable();
    }

    repaint(palette) {
        this.#chart?.destroy();
        this.#chart = null;
        this.#palette = palette;
        this.#draw();
    }

    see(seen) {
        this.#seen = seen;
        this.#draw();
    }

    #draw() {
        const [series, palette] = [this.#series, this.#palette];
        if (!this.#seen || this.node.hidden || series.every((s) => s.data.length === 0)) return;
        const datasets = series.map((s) => datasetOf(s, palette));
        if (this.#chart === null)
            this.#chart = new Chart(this.#canvas, {
                type: 'line',
                data: { datasets: [] },
                options: optionsOf(this.#curve, palette),
            });
        const axis = this.#chart.options.scales.x;
        const most = series.flatMap((s) => s.data.slice(-1)).reduce((a, d) => Math.max(a, d.x), 1);
        const apart = this.#curve.x.step(most);
        axis.max = most;
        axis.afterBuildTicks = (built) => {
            built.ticks = Array.from({ length: Math.floor(most / apart) + 1 }, (_, i) => ({
                value: i * apart,
            }));
        };
        axis.ticks.callback = (x) => this.#curve.x.mark(x, apart);
        this.#chart.data.datasets = datasets;
        this.#chart.update('none');
    }

    #fillTable() {
        if (!this.#details.open) return;
        const { names, rows } = tableOf(this.#series);
        const head = h(
            'tr',
            {},
            h('th', { scope: 'col' }, this.#curve.x.name),
            ...names.map((n) => h('th', { scope: 'col', class: 'number' }, n)),
        );
        const body = rows.map(([x, ...ys]) =>
            h(
                'tr',
                {},
                h('th', { scope: 'row' }, this.#curve.x.text(x)),
                ...ys.map((y) => h('td', { class: 'number' }, y === null ? unknown : this.#curve.text(y))),
            ),
        );
        this.#table.replaceChildren(h('thead', {}, head), h('tbody', {}, ...body));
    }
}

export class Curves {
    #panels = curves.map((curve) => new Panel(curve));
    #palette = paletteOf();

    constructor() {
        byId('curves').append(...this.#panels.map((p) => p.node));
        const panelOf = new Map(this.#panels.map((p) => [p.node, p]));
        const watch = new IntersectionObserver((entries) => {
            for (const entry of entries) panelOf.get(entry.target).see(entry.isIntersecting);
        });
        for (const panel of this.#panels) watch.observe(panel.node);
    }

    show(picture) {
        for (const panel of this.#panels) panel.show(picture, this.#palette);
    }

    /** After a change between light and dark. */
    repaint() {
        this.#palette = paletteOf();
        for (const panel of this.#panels) panel.repaint(this.#palette);
    }
}
