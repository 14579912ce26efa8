import { direct } from "../lib/fleet.mjs";
import { describeConversations } from "./conversation.mjs";

if (!direct) describeConversations("three CLIs on one home", { backends: 3, storage: "shared" });
