// Which curves there are, and the series of each, out of what the page knows. Pure.
// A series: {name, colour (a name of style.css), data: [{x, y}], dash?, faint?, dots?}.
import { axisTime, count, decimal, duration, money, percent, short, unknown } from './format.js';

const smoothing = 0.2; // weight of a new value in the smoothed loss

const line = (points, x, y) =>
    points.map((p) => ({ x: x(p), y: y(p) })).filter((d) => Number.isFinite(d.x) && Number.isFinite(d.y));

/** An exponential mean whose beginning is not drawn towards zero. */
export function smooth(data) {
    let mean = 0;
    let weight = 0;
    return data.map(({ x, y }) => {
        mean += smoothing * (y - mean);
        weight += smoothing * (1 - weight);
        return { x, y: mean / weight };
    });
}

const taskColours = { predict: 'student', explain: 'teacher', solve: 'server' };
const tasksOf = (items) => [...new Set(items.flatMap((p) => Object.keys(p.losses ?? {})))].sort();
const colourOf = (task) => taskColours[task] ?? 'ink';
const number = (y) => (y === null || y === undefined ? NaN : y);

/* One point a step: while a run stands still, points repeat it. */
const stepped = (points) => points.filter((p, i) => p.step > 0 && (i === 0 || p.step !== points[i - 1].step));

function trainingLoss({ points }) {
    const steps = stepped(points);
    const tasks = tasksOf(steps);
    const of = (name, colour, y) => {
        const raw = line(steps, (p) => p.step, y);
        return [
            { name, colour, data: smooth(raw) },
            { name: `${name}, as measured`, colour, data: raw, faint: true },
        ];
    };
    if (tasks.length === 0) return of('all tasks', 'ink', (p) => number(p.loss));
    return tasks.flatMap((task) => of(task, colourOf(task), (p) => number(p.losses?.[task])));
}

function validationLoss({ evaluations }) {
    const tasks = tasksOf(evaluations);
    const at = (e) => e.version;
    const all = {
        name: 'all tasks',
        colour: 'ink',
        data: line(evaluations, at, (e) => number(e.loss)),
        dots: true,
    };
    if (tasks.length < 2) return [all];
    return [
        all,
        ...tasks.map((task, i) => ({
            name: task,
            colour: colourOf(task),
            dash: i % 2 === 0 ? [6, 3] : [2, 3],
            dots: true,
            data: line(evaluations, at, (e) => number(e.losses?.[task])),
        })),
    ];
}

function accuracy({ evaluations, stats }) {
    const student = {
        name: 'student, validation',
        colour: 'student',
        dots: true,
        data: line(
            evaluations,
            (e) => e.version,
            (e) => number(e.exact),
        ),
    };
    const teacher = stats.accuracy?.teacher;
    const ends = [0, Math.max(stats.step, 1)];
    if (!teacher || student.data.length === 0) return [student];
    return [
        student,
        {
            name: 'teacher, against gold',
            colour: 'teacher',
            dash: [6, 4],
            data: ends.map((x) => ({ x, y: teacher.value })),
        },
    ];
}

const overTime =
    (...series) =>
    ({ points }) =>
        series.map(({ name, colour, of, dash }) => ({
            name,
            colour,
            dash,
            data: line(
                points,
                (p) => p.t,
                (p) => number(of(p)),
            ),
        }));

const timeSteps = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 28800, 86400, 172800];

/* At most five marks from 0 to `most`, at 1, 2 or 5 times a power of ten. */
function roundStep(most) {
    const power = 10 ** Math.floor(Math.log10(Math.max(1, most / 5)));
    return [1, 2, 5, 10].map((n) => n * power).find((n) => n * 5 >= most) ?? power * 10;
}

/* What lies on x: {name, text of a value, step: how far marks are apart, mark: what stands at one}. */
const steps = { name: 'step', text: count, step: roundStep, mark: count };
const time = {
    name: 'time since the run began',
    text: duration,
    mark: axisTime,
    step: (most) => timeSteps.find((n) => n * 5 >= most) ?? 86400 * roundStep(most / 86400),
};
const last = (series) =>
    series.filter((s) => !s.faint && s.data.length > 0).map((s) => [s.name, s.data.at(-1).y]);

/** {id, title, unit, x, text: y -> text, zero: the axis begins at 0, series, shown?} */
export const curves = [
    {
        id: 'loss',
        title: 'Training loss by task',
        unit: 'nats a token',
        x: steps,
        text: (y) => decimal(y, 3),
        series: trainingLoss,
    },
    {
        id: 'validation',
        title: 'Validation loss',
        unit: 'nats a token',
        x: steps,
        text: (y) => decimal(y, 3),
        series: validationLoss,
    },
    {
        id: 'accuracy',
        title: 'Accuracy',
        unit: 'share that is right',
        x: steps,
        text: (y) => percent(y, 1),
        zero: true,
        top: 1,
        series: accuracy,
    },
    {
        id: 'labels',
        title: 'Labels a second',
        unit: 'rows/s',
        x: time,
        text: short,
        zero: true,
        shown: ({ stats }) => stats.labels.active,
        series: overTime({ name: 'labelled', colour: 'teacher', of: (p) => p.labelled_per_s }),
    },
    {
        id: 'tokens',
        title: 'Tokens a second',
        unit: 'tokens/s',
        x: time,
        text: short,
        zero: true,
        shown: ({ stats }) => stats.training.active,
        series: overTime({ name: 'trained', colour: 'student', of: (p) => p.tokens_per_s }),
    },
    {
        id: 'backlog',
        title: 'Backlog of the queues',
        unit: 'entries',
        x: time,
        text: count,
        zero: true,
        whole: true,
        series: overTime(
            { name: 'LABELS', colour: 'teacher', of: (p) => p.labels_queue },
            { name: 'BATCHES', colour: 'student', dash: [6, 3], of: (p) => p.batches_queue },
        ),
    },
    {
        id: 'cost',
        title: 'Cost',
        unit: '',
        x: time,
        text: (y) => money(y),
        zero: true,
        shown: ({ stats, points }) =>
            Boolean(stats.money) && (stats.money.budget !== null || points.some((p) => p.cost > 0)),
        series: overTime({ name: 'spent', colour: 'server', of: (p) => p.cost }),
    },
    {
        id: 'mflops',
        title: 'Computing',
        unit: 'FLOP/s',
        x: time,
        text: short,
        zero: true,
        shown: ({ stats, points }) => stats.training.active && points.some((p) => p.mflops_per_s > 0),
        series: overTime({ name: 'students', colour: 'student', of: (p) => p.mflops_per_s * 1e6 }),
    },
    {
        id: 'grad',
        title: 'Gradient norm',
        unit: 'before clipping',
        x: steps,
        text: (y) => decimal(y, 2),
        zero: true,
        shown: ({ stats }) => stats.training.active,
        series: ({ points }) => [
            {
                name: 'norm',
                colour: 'ink',
                data: line(
                    stepped(points),
                    (p) => p.step,
                    (p) => number(p.grad_norm),
                ),
            },
        ],
    },
    {
        id: 'alive',
        title: 'Workers alive',
        unit: 'processes',
        x: time,
        text: count,
        zero: true,
        whole: true,
        series: overTime(
            { name: 'teachers', colour: 'teacher', of: (p) => p.alive?.teacher },
            { name: 'students', colour: 'student', dash: [6, 3], of: (p) => p.alive?.student },
            { name: 'shards', colour: 'server', dash: [2, 3], of: (p) => p.alive?.server },
        ),
    },
];

/** The newest value of each series: "predict 1.234, explain 2.345". */
export function newest(curve, series) {
    const values = last(series);
    if (values.length === 0) return unknown;
    if (values.length === 1) return curve.text(values[0][1]);
    return values.map(([name, y]) => `${name} ${curve.text(y)}`).join(', ');
}

/** What a curve shows, in a sentence. */
export function describe(curve, series) {
    const drawn = series.filter((s) => !s.faint && s.data.length > 0);
    if (drawn.length === 0) return `${curve.title}: nothing is measured yet.`;
    const parts = drawn.map(({ name, data }) => {
        const ys = data.map((d) => d.y);
        const low = ys.reduce((a, b) => Math.min(a, b));
        const high = ys.reduce((a, b) => Math.max(a, b));
        const end = data.at(-1);
        const now = `${name} is ${curve.text(end.y)} at ${curve.x.text(end.x)}`;
        return `${now}, began at ${curve.text(data[0].y)}, lowest ${curve.text(low)}, highest ${curve.text(high)}`;
    });
    const unit = curve.unit === '' ? '' : `, ${curve.unit}`;
    return `${curve.title}${unit}, by ${curve.x.name}: ${parts.join('; ')}.`;
}

/** The table of a curve: at most `most` values of x, evenly chosen, newest first; a row is [x, y of each series]. */
export function tableOf(series, most = 20) {
    const drawn = series.filter((s) => !s.faint);
    const xs = [...new Set(drawn.flatMap((s) => s.data.map((d) => d.x)))].sort((a, b) => b - a);
    const stride = Math.max(1, Math.ceil(xs.length / most));
    const ys = drawn.map((s) => new Map(s.data.map((d) => [d.x, d.y])));
    return {
        names: drawn.map((s) => s.name),
        rows: xs.filter((_, i) => i % stride === 0).map((x) => [x, ...ys.map((y) => y.get(x) ?? null)]),
    };
}
