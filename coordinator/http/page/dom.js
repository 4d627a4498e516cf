// Making and changing elements. Whatever comes from the run becomes a text node or an attribute, never markup.

const svgSpace = 'http://www.w3.org/2000/svg';

function fill(node, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) {
        if (value === null || value === undefined || value === false) continue;
        if (typeof value === 'function') node.addEventListener(name, value);
        else node.setAttribute(name, value === true ? '' : value);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined));
    return node;
}

/** A new element: h('p', {class: 'note'}, 'text', child). A function among the attributes listens to its event. */
export function h(tag, attributes = {}, ...children) {
    return fill(document.createElement(tag), attributes, children);
}

/** The same for a part of an SVG picture. */
export function svg(tag, attributes = {}, ...children) {
    return fill(document.createElementNS(svgSpace, tag), attributes, children);
}

export const byId = (id) => document.getElementById(id);

/** Changes nothing when the text is there already: screen readers and layout are left in peace. */
export function setText(node, text) {
    if (node.textContent !== text) node.textContent = text;
}

export function setAttribute(node, name, value) {
    if (value === null) node.removeAttribute(name);
    else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

/**
 * Brings the children of `parent` to the list `items`, in its order. An item keeps its element for as long as its key
 * is in the list, so an opened detail, a focus and a selection survive what arrives around them.
 * make(item) returns a new element; update(element, item), where given, is called for each on every call.
 */
export function keyed(parent, items, keyOf, make, update = () => {}) {
    const old = parent.keyedNodes ?? new Map();
    const fresh = new Map();
    let place = parent.firstChild;
    for (const item of items) {
        const key = String(keyOf(item));
        if (fresh.has(key)) continue;
        const node = old.get(key) ?? make(item);
        fresh.set(key, node);
        update(node, item);
    }
    for (const [key, node] of old) {
        if (fresh.has(key)) continue;
        if (node === place) place = place.nextSibling;
        node.remove();
    }
    for (const node of fresh.values()) {
        if (node === place) place = place.nextSibling;
        else parent.insertBefore(node, place);
    }
    parent.keyedNodes = fresh;
}
