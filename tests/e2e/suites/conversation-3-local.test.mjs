import { direct } from "../lib/fleet.mjs";
import { describeConversations } from "./conversation.mjs";

if (!direct) describeConversations("three CLIs with a home each", { backends: 3, storage: "local" });
