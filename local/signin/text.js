// What the page says, by the browser's language.

const TEXT = {
  zh: {
    loading: "正在载入…",
    welcome: "员工登录",
    welcomeLead: "登录后，可以查看您的身份和权限。",
    leftLead: "您已退出登录。",
    leftHereLead: "您已在这里退出；登录服务可能仍记得您。",
    signIn: "登录",
    again: "重新登录",
    signOut: "退出登录",
    expired: "登录已过期",
    expiredLead: "为了安全，请重新登录。",
    failed: "无法登录",
    failedLead: "请再试一次；如果仍不成功，请把下面的代码告诉管理员。",
    unreachable: "无法连接到登录服务，请稍后再试。",
    closed: "未配置登录服务",
    closedLead: "请设置 REGULARS_ISSUERS，或使用 make token。",
    refused: "您的账号不能登录这里，请联系管理员。",
    suspended: "您的账号已停用",
    suspendedLead: "这个账号目前不能使用常客，请联系管理员。如果您有其他账号，可以换用。",
    switch: "退出并换用其他账号",
    busy: "请求过于频繁",
    busyLead: "请等待 {seconds} 秒（到 {time}），然后重试。您仍处于登录状态。",
    retry: "重试",
    noSettings: "页面无法载入",
    noSettingsLead: "无法连接到服务器，它可能正在启动。请稍后重试。",
    account: "账号",
    staffId: "员工编号",
    roles: "角色",
    shops: "门店",
    allShops: "全部门店",
    until: "登录状态",
    kept: "打开此页面期间自动保持（{time} 前自动续期）",
    none: "无",
    rights: "您可以做什么",
    noRights: "您还没有任何权限。",
    noRightsLead: "请联系管理员为您分配角色。",
    noName: "未命名的员工",
    scopes: { self: "本人", shop: "本店", members: "全部会员", all: "全部" },
    chain: "会员属于整个品牌：您能接待每一位会员，但其他门店的消费不会显示。",
    role: { clerk: "店员", shop_manager: "店长", marketer: "市场", agent: "客服", analyst: "分析", admin: "管理员",
      auditor: "审计", integration: "系统对接", member: "会员" },
    subject: { members: "会员", purchases: "消费", points: "积分", pools: "积分池", cards: "卡", program: "会员计划",
      jobs: "任务", liability: "积分负债", staff: "员工", roles: "角色", approvals: "审批", audit: "审计记录",
      integrations: "对接密钥", alerts: "警报", templates: "消息模板", suppressions: "停发地址", deliveries: "发送记录",
      campaigns: "营销活动", journeys: "自动流程", segments: "人群" },
    verb: { read: "查看", write: "编辑", status: "冻结和恢复", merge: "合并", unmask: "查看完整信息",
      erase: "抹除", export: "导出", record: "录入", record_large: "录入大额消费", return: "退货",
      restate: "更正", spend: "使用", adjust: "调整", transfer: "转赠", manage: "管理", top_up: "充值", refund: "退款",
      publish: "发布", run: "执行", decide: "审批", launch: "启动和停止", gift: "赠送积分", notify: "发送账户通知",
      change_contact: "更改手机和邮箱", undo_owing: "撤销合并（即使因此欠积分）", act_for_members: "代会员操作",
      "members:write": "登记和修改", "cards:gift": "赠送超出规定的金额或次数", "journeys:run": "启动和停止" },
  },
  en: {
    loading: "Loading…",
    welcome: "Staff sign-in",
    welcomeLead: "Sign in to see who you are here and what you may do.",
    leftLead: "You are signed out.",
    leftHereLead: "You are signed out here. The sign-in service may still remember you.",
    signIn: "Sign in",
    again: "Sign in again",
    signOut: "Sign out",
    expired: "Your sign-in has ended",
    expiredLead: "To be on the safe side, please sign in again.",
    failed: "Signing in did not work",
    failedLead: "Please try again. If that does not help, tell an administrator the code below.",
    unreachable: "The sign-in service cannot be reached. Please try again in a moment.",
    closed: "No sign-in service is configured",
    closedLead: "Set REGULARS_ISSUERS, or use make token.",
    refused: "This account may not come in here. Please ask an administrator.",
    suspended: "Your account is suspended",
    suspendedLead: "It cannot be used here for now. Please ask an administrator. " +
      "If you have another account, you can take that one.",
    switch: "Sign out and use another account",
    busy: "Too many requests",
    busyLead: "Please wait {seconds} seconds (until {time}), then try again. You are still signed in.",
    retry: "Try again",
    noSettings: "This page could not be loaded",
    noSettingsLead: "The server cannot be reached. It may be starting. Please try again in a moment.",
    account: "Account",
    staffId: "Staff ID",
    roles: "Roles",
    shops: "Shops",
    allShops: "all",
    until: "Signed in",
    kept: "for as long as this page is open (renewed by itself before {time})",
    none: "none",
    rights: "What you may do",
    noRights: "You have not been given any rights yet.",
    noRightsLead: "Ask an administrator to give you a role.",
    noName: "Member of staff",
    scopes: { self: "own", shop: "your shops", members: "all members", all: "all" },
    chain: "Members belong to the whole chain: you may serve every one of them, but not see what other shops sold.",
    role: { clerk: "clerk", shop_manager: "shop manager", marketer: "marketer", agent: "agent", analyst: "analyst",
      admin: "admin", auditor: "auditor", integration: "integration", member: "member" },
    subject: { members: "Members", purchases: "Purchases", points: "Points", pools: "Pools", cards: "Cards",
      program: "Program", jobs: "Jobs", liability: "Liability", staff: "Staff", roles: "Roles", approvals: "Approvals",
      audit: "Audit", integrations: "Integration keys", alerts: "Alerts", templates: "Templates",
      suppressions: "Addresses not written to", deliveries: "Messages sent", campaigns: "Campaigns",
      journeys: "Journeys", segments: "Segments" },
    verb: { read: "look at", write: "edit", status: "suspend and reinstate", merge: "merge",
      unmask: "see in full", erase: "erase", export: "export", record: "record", record_large: "record large ones",
      return: "take back", restate: "restate", spend: "spend", adjust: "adjust", transfer: "transfer", manage: "manage",
      top_up: "top up", refund: "refund", publish: "publish", run: "run", decide: "decide", launch: "launch and stop",
      gift: "give points", notify: "send notices of the account", change_contact: "change mobile and e-mail",
      undo_owing: "undo merges, even if points are owed", act_for_members: "act for members", "members:write": "enrol and edit",
      "cards:gift": "give more money or visits than the limit", "journeys:run": "start and stop" },
  },
};

export const language = navigator.languages.find((each) => /^(zh|en)\b/i.test(each))?.slice(0, 2).toLowerCase() ?? "en";
export const text = TEXT[language];

// A word of the merchant's own, such as the name of a role, stands as it is.
export function word(kind, name) {
  return text[kind][name] ?? name.replaceAll("_", " ");
}

// What a permission allows: most verbs mean the same of everything, some have words of their own for it.
export function allowed(permission) {
  return text.verb[permission] ?? word("verb", permission.split(":")[1]);
}

// A text with its places filled in.
export function filled(said, values) {
  return said.replace(/{(\w+)}/g, (_, name) => values[name]);
}

const collator = new Intl.Collator(language === "zh" ? "zh-CN" : "en");

// The order of names in the page's language, of rows that begin with one.
export function byName([one], [other]) {
  return collator.compare(one, other);
}

export function time(seconds) {
  return new Intl.DateTimeFormat(navigator.language, { hour: "2-digit", minute: "2-digit" }).format(seconds * 1000);
}
