import { describeWall } from "./wall.mjs";

describeWall("registry");
