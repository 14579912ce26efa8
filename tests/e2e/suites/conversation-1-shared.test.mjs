import { describeConversations } from "./conversation.mjs";

describeConversations("one CLI", { backends: 1 });
