// The flow picture: places as boxes, ways as arrows, laid out for the width there is: in one column on a phone, in two
// rows (labelling above, training below) where there is room. Coordinates are pixels, so text never shrinks.
import { byId, h, keyed, setAttribute, setText, svg } from './dom.js';
import { flowOf, flowSentences } from './flow_model.js';

const boxHeight = { wide: 92, narrow: 58 };

/** {width, height, boxes: {id: {x, y, w, h}}, perRow} */
export function layout(ids, width) {
    const narrow = width < 830;
    const perRow = narrow ? 1 : Math.ceil(ids.length / 2);
    const margin = 4;
    const gapY = narrow ? 30 : 58;
    const tall = narrow ? boxHeight.narrow : boxHeight.wide;
    const gapX = narrow ? 0 : Math.max(96, Math.min(150, width * 0.11));
    const w = Math.min(narrow ? 460 : Infinity, (width - 2 * margin - gapX * (perRow - 1)) / perRow);
    const boxes = {};
    ids.forEach((id, i) => {
        const row = Math.floor(i / perRow);
        const column = row % 2 === 0 ? i % perRow : perRow - 1 - (i % perRow); // the second row runs back
        boxes[id] = {
            x: (narrow ? (width - w) / 2 : margin) + column * (w + gapX),
            y: margin + row * (tall + gapY),
            w,
            h: tall,
        };
    });
    const rows = Math.ceil(ids.length / perRow);
    return { width, height: 2 * margin + rows * tall + (rows - 1) * gapY, boxes, narrow };
}

/* From the edge of a to the edge of b. */
function arrow(a, b, narrow) {
    if (Math.abs(a.y - b.y) > 1) {
        const x = a.x + a.w / 2;
        return {
            x1: x,
            y1: a.y + a.h,
            x2: x,
            y2: b.y - 3,
            textX: narrow ? x + 12 : x - 12,
            textY: (a.y + a.h + b.y) / 2 + 4,
            anchor: narrow ? 'start' : 'end',
        };
    }
    const right = b.x > a.x;
    const x1 = right ? a.x + a.w : a.x;
    const x2 = right ? b.x - 3 : b.x + b.w + 3;
    const y = a.y + a.h / 2;
    return { x1, y1: y, x2, y2: y, textX: (x1 + x2) / 2, textY: y - 9, anchor: 'middle' };
}

function head({ x1, y1, x2, y2 }) {
    const length = Math.hypot(x2 - x1, y2 - y1) || 1;
    const ux = (x2 - x1) / length;
    const uy = (y2 - y1) / length;
    const at = (back, side) => `${x2 - back * ux - side * uy},${y2 - back * uy + side * ux}`;
    return `${at(0, 0)} ${at(8, 4.5)} ${at(8, -4.5)}`;
}

function makePlace(place) {
    const texts = ['title', 'value', 'note'].map((part) =>
        svg('text', { class: part, 'data-flow': `${place.id}.${part}` }),
    );
    return svg(
        'g',
        { class: 'place' },
        svg('rect', { class: 'box' }),
        svg('rect', { class: 'mark' }),
        ...texts,
    );
}

function drawPlace(node, place, box, narrow) {
    const [frame, mark, title, value, note] = node.children;
    setAttribute(node, 'data-tone', place.tone);
    setAttribute(node, 'data-id', place.id);
    const round = place.kind === 'queue' ? Math.min(22, box.h / 2) : 6;
    for (const [name, x] of Object.entries({ x: box.x, y: box.y, width: box.w, height: box.h, rx: round }))
        setAttribute(frame, name, x);
    const inset = place.kind === 'queue' ? 22 : 14;
    for (const [name, x] of Object.entries({ x: box.x, y: box.y + 12, width: 4, height: box.h - 24, rx: 2 }))
        setAttribute(mark, name, x);
    const left = box.x + inset;
    const put = (text, x, y, anchor = 'start') => {
        setAttribute(text, 'x', x);
        setAttribute(text, 'y', y);
        setAttribute(text, 'text-anchor', anchor);
    };
    put(title, left, box.y + 23);
    if (narrow) {
        put(value, box.x + box.w - inset, box.y + box.h / 2 + 7, 'end');
        put(note, left, box.y + 43);
    } else {
        put(value, left, box.y + 53);
        put(note, left, box.y + 76);
    }
    setText(title, place.title);
    setText(value, place.value);
    setText(note, place.note);
}

function makeWay() {
    return svg('g', { class: 'way' }, svg('line'), svg('polygon'), svg('text'));
}

function drawWay(node, way, { boxes, narrow }) {
    const [line, tip, text] = node.children;
    const a = arrow(boxes[way.from], boxes[way.to], narrow);
    for (const name of ['x1', 'y1', 'x2', 'y2']) setAttribute(line, name, a[name]);
    setAttribute(tip, 'points', head(a));
    setAttribute(text, 'x', a.textX);
    setAttribute(text, 'y', a.textY);
    setAttribute(text, 'text-anchor', a.anchor);
    setText(text, way.text);
    setAttribute(node, 'data-live', way.live);
    setAttribute(node, 'data-starved', way.starved ? true : null);
}

export class Flow {
    #place = byId('flow');
    #title = svg('title', { id: 'flow-picture-title' }, 'From corpus to checkpoint');
    #text = svg('desc', { id: 'flow-picture-text' });
    #ways = svg('g');
    #places = svg('g');
    #picture = svg(
        'svg',
        { role: 'img', 'aria-labelledby': 'flow-picture-title flow-picture-text' },
        this.#title,
        this.#text,
        this.#ways,
        this.#places,
    );
    #last = null;

    constructor() {
        this.#place.append(this.#picture);
        new ResizeObserver(() => this.#last && this.#draw()).observe(this.#place);
    }

    show(picture) {
        this.#last = flowOf(picture);
        this.#draw();
        const sentences = flowSentences(this.#last);
        setText(this.#text, sentences.join(' '));
        keyed(
            byId('flow-text'),
            sentences.map((text, i) => ({ i, text })),
            (s) => s.i,
            () => h('li'),
            (node, s) => setText(node, s.text),
        );
    }

    #draw() {
        const { places, ways } = this.#last;
        const plan = layout(
            places.map((p) => p.id),
            Math.max(240, this.#place.clientWidth),
        );
        setAttribute(this.#picture, 'viewBox', `0 0 ${plan.width} ${plan.height}`);
        setAttribute(this.#picture, 'width', plan.width);
        setAttribute(this.#picture, 'height', plan.height);
        keyed(
            this.#ways,
            ways,
            (w) => w.from,
            makeWay,
            (node, way) => drawWay(node, way, plan),
        );
        keyed(
            this.#places,
            places,
            (p) => p.id,
            makePlace,
            (node, place) => drawPlace(node, place, plan.boxes[place.id], plan.narrow),
        );
    }
}
