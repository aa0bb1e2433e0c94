/** Numbers, dates and places as a person reads them. */

const number = new Intl.NumberFormat();
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeZone: "UTC" });
const shortDay = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeZone: "UTC" });
const time = new Intl.DateTimeFormat(undefined, { timeStyle: "short", timeZone: "UTC" });
const month = new Intl.DateTimeFormat(undefined, { month: "long", year: "numeric", timeZone: "UTC" });

// A photo's date is what the camera's clock showed; it belongs to no time zone.
const moment = (date) => new Date(`${date}Z`);

export const photoCount = (count) => (count === 1 ? "1 photo" : `${number.format(count)} photos`);
export const fullDay = (date) => day.format(moment(date));
export const clock = (date) => time.format(moment(date));
export const monthOf = (date) => month.format(moment(date));
export const dayOf = (date) => shortDay.format(moment(date.length === 10 ? `${date}T00:00:00` : date));
export const amount = (value) => number.format(value);

export function fileSize(bytes) {
  if (bytes < 1e6) return `${Math.max(1, Math.round(bytes / 1e3))} KB`;
  if (bytes < 1e9) return `${(bytes / 1e6).toFixed(1)} MB`;
  return `${(bytes / 1e9).toFixed(1)} GB`;
}

/** Minutes and seconds, as on a video's cover. */
export function duration(milliseconds) {
  const seconds = Math.floor(milliseconds / 1000);
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  if (parts[0] === 0) parts.shift();
  return parts.map((part, place) => (place === 0 ? part : String(part).padStart(2, "0"))).join(":");
}

export function coordinates(latitude, longitude) {
  const north = `${Math.abs(latitude).toFixed(4)}° ${latitude < 0 ? "S" : "N"}`;
  return `${north}, ${Math.abs(longitude).toFixed(4)}° ${longitude < 0 ? "W" : "E"}`;
}

/** A line with a capital at its beginning, unless it begins with a file's name. */
export function asSentence(line) {
  return /^[a-z-]+ /.test(line) ? line[0].toUpperCase() + line.slice(1) : line;
}

/** The day after, as `2024-07-01`: what is meant by "to 30 June". */
export function dayAfter(date) {
  const next = new Date(`${date}T00:00:00Z`);
  next.setUTCDate(next.getUTCDate() + 1);
  return next.toISOString().slice(0, 10);
}
