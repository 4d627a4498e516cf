// Numbers, times and sizes as a person reads them. Pure; what is not known is a dash.

export const unknown = '–';

const known = (x) => typeof x === 'number' && Number.isFinite(x);
const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

/** 9973 -> 9,973 */
export const count = (x) => (known(x) ? whole.format(x) : unknown);

/** Fixed digits after the point. */
export const decimal = (x, digits = 3) => (known(x) ? x.toFixed(digits) : unknown);

/** Three digits that count: 0.123, 4.56, 31.2k, 1.20M; whole numbers below 10,000 as they are. */
export function short(x) {
    if (!known(x)) return unknown;
    const size = Math.abs(x);
    for (const [limit, letter] of [
        [1e12, 'T'],
        [1e9, 'G'],
        [1e6, 'M'],
        [1e4, 'k'],
    ])
        if (size >= limit) return threeDigits(x / (letter === 'k' ? 1e3 : limit)) + letter;
    return size >= 1000 || Number.isInteger(x) ? whole.format(x) : threeDigits(x);
}

function threeDigits(x) {
    const size = Math.abs(x);
    if (size >= 100) return x.toFixed(0);
    if (size >= 10) return x.toFixed(1);
    return size >= 0.1 ? x.toFixed(2) : x.toPrecision(2);
}

/** A share of 1. Never 100 % of what is not whole. */
export function percent(x, digits = 0) {
    if (!known(x)) return unknown;
    const unit = 10 ** digits;
    let p = Math.round(x * 100 * unit) / unit;
    if (p >= 100 && x < 1) p = 100 - 1 / unit;
    return `${p.toFixed(digits)}\u00a0%`;
}

/** Seconds as 0:07, 2:42, 1:02:03, 3 d 4 h. */
export function duration(seconds) {
    if (!known(seconds) || seconds < 0) return unknown;
    const s = Math.round(seconds);
    const two = (n) => String(n).padStart(2, '0');
    if (s >= 86400) return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
    if (s >= 3600) return `${Math.floor(s / 3600)}:${two(Math.floor((s % 3600) / 60))}:${two(s % 60)}`;
    return `${Math.floor(s / 60)}:${two(s % 60)}`;
}

/** A time on an axis whose marks are so many seconds apart: 30 s, 10 min, 3 h, 2 d. */
export function axisTime(seconds, apart) {
    const [size, unit] = [
        [86400, 'd'],
        [3600, 'h'],
        [60, 'min'],
        [1, 's'],
    ].find(([n]) => apart >= n) ?? [1, 's'];
    return `${whole.format(seconds / size)} ${unit}`;
}

/** How long something has been silent: 0.3 s, 12 s, 4:10. */
export function span(ms) {
    if (!known(ms)) return unknown;
    if (ms < 9950) return `${(ms / 1000).toFixed(1)} s`;
    return ms < 99500 ? `${Math.round(ms / 1000)} s` : duration(ms / 1000);
}

/** Money with as many digits as its size asks for. */
export function money(x, currency = '') {
    if (!known(x)) return unknown;
    const digits = Math.abs(x) >= 100 ? 0 : Math.abs(x) >= 1 || x === 0 ? 2 : 4;
    return `${x.toFixed(digits)}\u00a0${currency}`.trim();
}

/** Time of day of unix seconds, as the reader's clock has it; with the day when it is not today. */
export function clock(unixSeconds) {
    if (!known(unixSeconds)) return unknown;
    const then = new Date(unixSeconds * 1000);
    const time = then.toLocaleTimeString('en-GB');
    if (then.toDateString() === new Date().toDateString()) return time;
    return `${then.toLocaleDateString('en-CA')} ${time}`;
}

/** "1 row", "2 rows" */
export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
