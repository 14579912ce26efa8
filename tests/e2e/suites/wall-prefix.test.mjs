import { describeWall } from "./wall.mjs";

describeWall("prefix");
