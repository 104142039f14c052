/** What `<lab>/pachon/queries` tells; times are ISO 8601, UTC. */
export interface Panel {
  running: Running[];
  mine: Summary[];
  shared: Summary[];
  runs: Run[];
  templates: string[];
}

/** A job under way; `query` is the id of the saved query that it runs, or null. */
export interface Running {
  job: string;
  query: string | null;
  name: string;
  adql: string;
  phase: string;
  client: string;
  created_at: string;
  /** While it waits: its place, 1 for the next, and the seconds until it probably begins. */
  in_line: { position: number; seconds: number } | null;
}

/** A saved query as a list tells it. */
export interface Summary {
  id: string;
  owner: string;
  name: string;
  adql: string;
  state: string;
  version: number;
  row_count: number | null;
  changed_at: string;
}

/** A run of any program that has ended. */
export interface Run {
  id: string;
  query: string;
  phase: string;
  row_count: number;
  ended_at: string;
  client: string;
}

/** A saved query with its newest version. */
export interface Query {
  id: string;
  current: { number: number; name: string };
  links: { portal: string };
  snippets: { python: string; pyvo: string; topcat: string };
}

/** What a cell or a notebook keeps in its metadata, below `pachon`. */
export interface Tie {
  query_id: string;
  version: number;
}
