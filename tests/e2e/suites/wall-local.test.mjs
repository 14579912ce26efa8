import { describeWall } from "./wall.mjs";

describeWall("prefix", { storage: "local" });
