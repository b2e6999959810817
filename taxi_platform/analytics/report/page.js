"use strict";
// Sums up the figures for the chosen colour and months, and draws each chart with its rows and its table.
const page = JSON.parse(document.getElementById("figures").textContent);
const element = (id) => document.getElementById(id);
const dark = matchMedia("(prefers-color-scheme: dark)");
const integers = new Intl.NumberFormat("en-US");
const dollars = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD", maximumFractionDigits: 0 });
const cents = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD" });
const narrow = matchMedia("(max-width: 860px)");
const heights = () => ({ map: narrow.matches ? 380 : 520, top: narrow.matches ? 420 : 520, days: 240, hours: 220, months: 170 });
const names = new Map(page.zone_names.rows.map(([zone, name, borough]) => [zone, { name, borough }]));

function chosen() {
  const [from, to] = [element("from").value, element("to").value].sort();
  return { colour: element("colour").value, from, to, measure: element("measure").value };
}

function rowsOf(table, choice, keepColour) {
  return table.rows
    .map((row) => Object.fromEntries(table.columns.map((column, index) => [column, row[index]])))
    .filter((row) => (choice.colour === "Both" || row.colour === choice.colour) && row.month >= choice.from && row.month <= choice.to);
}

function summed(rows, keys) {
  const sums = new Map();
  for (const row of rows) {
    const key = keys.map((name) => row[name]).join("|");
    const sum = sums.get(key) ?? { ...Object.fromEntries(keys.map((name) => [name, row[name]])), trips: 0, revenue: 0 };
    sum.trips += row.trips;
    sum.revenue += row.revenue;
    sums.set(key, sum);
  }
  return [...sums.values()].map((sum) => ({ ...sum, revenue: Math.round(sum.revenue * 100) / 100 }));
}

function rowsOfCharts(choice) {
  const zones = summed(rowsOf(page.zones, choice), ["zone"]).map((row) => ({ ...row, ...(names.get(row.zone) ?? { name: "Unknown", borough: "Unknown" }) }));
  zones.sort((one, other) => other[choice.measure] - one[choice.measure]);
  const order = (row) => page.weekdays.indexOf(row.weekday) * 24 + row.hour;
  return {
    map: zones,
    top: zones.filter((row) => row.borough !== "Unknown").slice(0, 15),
    hours: summed(rowsOf(page.hours, choice), ["weekday", "hour"]).sort((one, other) => order(one) - order(other)),
    days: withParts(summed(rowsOf(page.days, choice), ["colour", "day"]).sort((one, other) => (one.day < other.day ? -1 : 1))),
    months: rowsOf(page.months, choice),
  };
}

// A line ends where days are missing.
function withParts(days) {
  const last = {};
  const part = {};
  return days.map((row) => {
    const at = Date.parse(row.day);
    if (at - (last[row.colour] ?? at) > 86400000) part[row.colour] = (part[row.colour] ?? 0) + 1;
    last[row.colour] = at;
    return { ...row, part: `${row.colour} ${part[row.colour] ?? 0}` };
  });
}

function features(zones) {
  const figures = new Map(zones.map((row) => [row.zone, row]));
  return page.shapes.features.map((feature) => {
    const { trips = 0, revenue = 0 } = figures.get(feature.id) ?? {};
    return { ...feature, properties: { ...feature.properties, trips, revenue } };
  });
}

function theme() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const ramp = dark.matches ? page.ramps.dark : page.ramps.light;
  const text = { labelColor: colour("--soft"), titleColor: colour("--soft"), labelFontSize: 11, titleFontSize: 11, titleFontWeight: "normal" };
  return {
    background: null,
    font: "system-ui, sans-serif",
    view: { stroke: null },
    axis: { ...text, gridColor: colour("--line"), domainColor: colour("--line"), tickColor: colour("--line") },
    legend: { ...text },
    geoshape: { stroke: colour("--card") },
    bar: { fill: ramp[3] },
    range: { ramp, heatmap: ramp },
  };
}

const columns = {
  map: [["name", "Zone"], ["borough", "Borough"], ["trips", "Trips"], ["revenue", "Revenue"]],
  top: [["name", "Zone"], ["borough", "Borough"], ["trips", "Trips"], ["revenue", "Revenue"]],
  days: [["day", "Day"], ["colour", "Taxis"], ["trips", "Trips"], ["revenue", "Revenue"]],
  hours: [["weekday", "Weekday"], ["hour", "Hour"], ["trips", "Trips"], ["revenue", "Revenue"]],
  months: [["colour", "Taxis"], ["month", "Month"], ["status", "Status"], ["days", "Days with trips"], ["days_of_month", "Days"], ["trips", "Trips"], ["revenue", "Revenue"]],
};

function showTable(name, rows) {
  const card = element(name).parentElement;
  const details = card.querySelector("details") ?? card.appendChild(document.createElement("details"));
  const cell = (tag, text, isNumber) => {
    const made = document.createElement(tag);
    made.textContent = text;
    if (isNumber) made.className = "number";
    return made;
  };
  const line = (cells) => {
    const made = document.createElement("tr");
    made.append(...cells);
    return made;
  };
  const isNumber = (key) => ["trips", "revenue", "days", "days_of_month", "hour"].includes(key);
  const shown = (row, key) => (key === "revenue" ? cents.format(row[key]) : isNumber(key) ? integers.format(row[key]) : row[key]);
  const table = document.createElement("table");
  table.id = `${name}-table`;
  table.append(line(columns[name].map(([key, title]) => cell("th", title, isNumber(key)))));
  table.append(...rows.map((row) => line(columns[name].map(([key]) => cell("td", shown(row, key), isNumber(key))))));
  const scroll = document.createElement("div");
  scroll.className = "scroll";
  scroll.tabIndex = 0;
  scroll.append(table);
  const summary = document.createElement("summary");
  summary.textContent = "Figures as a table";
  details.replaceChildren(summary, scroll);
}

function describe(choice, rows) {
  const measure = choice.measure === "trips" ? "trips" : "revenue";
  const total = rows.months.reduce((sum, row) => ({ trips: sum.trips + row.trips, revenue: sum.revenue + row.revenue }), { trips: 0, revenue: 0 });
  const figure = (row) => (choice.measure === "trips" ? `${integers.format(row.trips)} trips` : dollars.format(row.revenue));
  const loaded = rows.months.filter((row) => row.trips > 0);
  const busiest = [...rows.hours].sort((one, other) => other[choice.measure] - one[choice.measure])[0];
  const bestDay = [...rows.days].sort((one, other) => other[choice.measure] - one[choice.measure])[0];
  const complete = rows.months.filter((row) => row.status === "Complete").length;
  element("total-trips").textContent = integers.format(total.trips);
  element("total-revenue").textContent = dollars.format(total.revenue);
  element("total-mean").textContent = total.trips ? cents.format(total.revenue / total.trips) : "–";
  element("total-months").textContent = `${loaded.length} of ${rows.months.length}`;
  element("map-text").textContent = `${measure[0].toUpperCase()}${measure.slice(1)} by the zone where trips start. Each colour stands for a fifth of the zones; zones without trips are grey.`;
  element("top-text").textContent = rows.top.length ? `${rows.top[0].name} leads with ${figure(rows.top[0])}.` : "No trips.";
  element("days-text").textContent = bestDay ? `${bestDay.colour} taxis' highest day is ${bestDay.day} with ${figure(bestDay)}. A line ends where no month is loaded.` : "No trips.";
  element("hours-text").textContent = busiest ? `The highest ${measure === "trips" ? "number of trips" : "revenue"}: ${busiest.weekday}, ${busiest.hour}:00 to ${busiest.hour + 1}:00.` : "No trips.";
  element("months-text").textContent = `${complete} of ${rows.months.length} months are complete: every day of the month has trips.`;
  element("subtitle").textContent = `${choice.colour === "Both" ? "Green and yellow" : choice.colour} taxis, ${choice.from === choice.to ? choice.from : `${choice.from} to ${choice.to}`}, from the marts in ${page.destination}.`;
}

// Vega-Lite does not pass the legend type "symbol" on; a gradient of quantiles has its colours at unreadable distances.
function withSymbols(vega) {
  for (const legend of vega.legends) legend.type = "symbol";
  return vega;
}

async function draw() {
  const choice = chosen();
  const rows = rowsOfCharts(choice);
  describe(choice, rows);
  for (const [name, variants] of Object.entries(page.charts)) {
    const spec = structuredClone(variants[choice.measure]);
    // Zones without trips do not count for the limits of the colours.
    if (name === "map") spec.encoding.color.condition.scale.domain = rows.map.map((row) => row[choice.measure]);
    if (name === "days") spec.encoding.color.legend.values = [...new Set(rows.days.map((row) => row.colour))];
    if (name === "months" && narrow.matches) spec.encoding.color.legend.columns = 2;
    spec.datasets = { rows: name === "map" ? features(rows.map) : rows[name] };
    Object.assign(spec, { width: "container", height: heights()[name], autosize: { type: "fit", contains: "padding" }, description: element(`${name}-text`).textContent });
    const { view } = await vegaEmbed(`#${name}`, spec, { actions: false, renderer: "svg", config: theme(), tooltip: { theme: "custom" }, patch: name === "map" ? withSymbols : undefined });
    views[name]?.finalize?.();
    views[name] = view;
    showTable(name, rows[name]);
  }
  document.body.dataset.drawn = JSON.stringify(choice);
}

function fill(id, values, value) {
  element(id).replaceChildren(...values.map((each) => new Option(each, each, each === value, each === value)));
}

const views = {};
const colours = [...new Set(page.zones.rows.map((row) => row[page.zones.columns.indexOf("colour")]))].sort();
const months = [...new Set(page.months.rows.map((row) => row[page.months.columns.indexOf("month")]))].sort();
fill("colour", colours.length > 1 ? ["Both", ...colours] : colours, colours.length > 1 ? "Both" : colours[0]);
fill("from", months, months[0]);
fill("to", months, months.at(-1));
element("measure").value = "revenue";
element("footer").textContent = `Trips that a meter recorded, without duplicates; amounts without cash tips. Data: NYC Taxi & Limousine Commission. Made ${page.made_at}.`;
for (const id of ["colour", "from", "to", "measure"]) element(id).addEventListener("change", draw);
for (const query of [dark, narrow]) query.addEventListener("change", draw);
draw();
