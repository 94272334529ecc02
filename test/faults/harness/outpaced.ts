/** Under NOT NULL no row may be left over, and nobody embeds as fast as some write: either message asks for a pause of the writers. */
export const OUTPACED = /without a new vector at every look under the lock|does not settle: walk after walk/;
