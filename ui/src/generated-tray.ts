// Generated from the Rust structs; do not edit. Renew it with `LEEWARD_RENEW=1 cargo test --features tray --bin leeward-tray typescript`.

/** An agent of the table, as the panel shows it. */
export type Agent = {
  /** Its profile's name. */
  name: string;
  /** As it calls itself. */
  title: string;
  /** Whether it can be launched. */
  found: boolean;
  /** Its program. */
  path?: string;
  /** As it reports it. */
  version?: string;
  /** What to do when it was not found. */
  hint?: string;
};

/** Whether Leeward starts at login, as the system has it. */
export type Autostart = {
  /** It does. */
  enabled: boolean;
  /** The file or registry value that says so. */
  where: string;
  /** What the user should know about it. */
  note: string | null;
};

/** In which terminal it opened. */
export type Launched = {
  /** Its name. */
  terminal: string;
};

/** Why a command was not done, in the shape in which `/_leeward/v1` says so. */
export type Refusal = {
  /** Stable, kebab-case. */
  code: string;
  /** A sentence for the user. */
  message: string;
  /** What is wrong with each key of a change to the config. */
  errors?: unknown;
};

/** Where a bundle was written. */
export type SavedBundle = {
  /** The file. */
  path: string;
};

/** What the panel should know of the desktop around it. */
export type Surroundings = {
  /** False where no icon is shown, so that the panel is all there is. */
  tray_icon: boolean;
};
