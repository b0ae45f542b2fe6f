"""The words of the page in Chinese; English ones are those of the templates."""

# ruff: noqa: E501 - a sentence and its translation stand on one line

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

LANGUAGES = ("en", "zh")
NONE: Mapping[str, str] = MappingProxyType({})

CHINESE = {
    "Components": "组件",
    "Data": "数据",
    "Tokens and quotas": "令牌与配额",
    "Alerts": "告警",
    "Audit": "操作记录",
    "Algorithm Center": "算法中心",
    "Sign in": "登录",
    "Sign out": "退出",
    "Token": "令牌",
    "This page needs a token that may read everything.": "查看本页需要一个拥有全部权限的令牌。",
    "The token is not valid here.": "该令牌无效。",
    "Make one with": "生成令牌的命令：",
    "No component is defined. Write a section [services.NAME] into jiyuan.toml.": "尚未定义组件。请在 jiyuan.toml 中写入 [services.NAME] 一节。",
    "since": "自",
    "restarts": "重启次数",
    "heartbeat": "心跳",
    "data age": "数据时效",
    "CPU": "处理器",
    "memory": "内存",
    "threads": "线程",
    "process": "进程",
    "node": "节点",
    "command": "命令",
    "depends on": "依赖",
    "exit code": "退出码",
    "Last lines before its end": "结束前的最后几行",
    "Log": "日志",
    "Search": "搜索",
    "live": "实时",
    "Start": "启动",
    "Stop": "停止",
    "Restart": "重启",
    "Start it?": "确认启动？",
    "Stop it, and what depends on it?": "确认停止它及依赖它的组件？",
    "Start it again?": "确认重启？",
    "Yes": "确认",
    "its definition has changed": "定义已更改",
    "all": "全部",
    "running": "运行中",
    "stopped": "已停止",
    "waiting": "等待依赖",
    "starting": "启动中",
    "stale": "数据过期",
    "backoff": "等待重启",
    "stopping": "停止中",
    "exited": "已结束",
    "failed": "失败",
    "unkept": "无人看管",
    "unknown": "未知",
    "Data set": "数据集",
    "Title": "名称",
    "Rows": "行数",
    "First": "起始",
    "Last": "截止",
    "Version": "版本",
    "Written": "写入时间",
    "Nothing has been collected yet.": "尚未采集任何数据。",
    "Coverage": "覆盖率",
    "Each square is one security in one period: the fuller its colour, the more of the rows it has that the fullest security has there.": "每格表示一只证券在一个时期内的数据：颜色越深，越接近该时期最完整的证券。",
    "Only the last two years are counted.": "仅统计最近两年。",
    "securities": "只证券",
    "previous": "上一页",
    "next": "下一页",
    "Security": "证券",
    "Show": "显示",
    "Quality": "数据质量",
    "Nothing is wrong with what is kept.": "所存数据未发现问题。",
    "findings": "项问题",
    "Kind": "类型",
    "Why": "原因",
    "Rows set aside": "被隔离的行",
    "Candles": "K 线",
    "bars": "根",
    "There are no prices of this security.": "没有该证券的价格数据。",
    "open": "开",
    "high": "高",
    "low": "低",
    "close": "收",
    "volume": "成交量",
    "Name": "名称",
    "Scopes": "权限",
    "Calls a minute": "每分钟次数",
    "Created": "创建",
    "Expires": "到期",
    "State": "状态",
    "valid": "有效",
    "ended": "已失效",
    "never": "永不",
    "Revoke": "吊销",
    "End this token now?": "立即吊销该令牌？",
    "There is no token yet: on this machine anybody may ask, and see this page.": "尚无令牌：本机任何人都可以访问服务和本页。",
    "Calls answered": "已应答调用",
    "Interface": "接口",
    "Calls": "调用次数",
    "any number": "不限",
    "Nothing is wrong.": "一切正常。",
    "Silence for an hour": "静默一小时",
    "Silence for a day": "静默一天",
    "End the silence": "取消静默",
    "silent until": "静默至",
    "A webhook is told of each alert.": "每条告警都会发送到 Webhook。",
    "No webhook is set: ptolemy web --webhook-file FILE.": "未设置 Webhook：ptolemy web --webhook-file FILE。",
    "Time": "时间",
    "Who": "操作人",
    "Action": "操作",
    "Target": "对象",
    "Result": "结果",
    "Nobody has done anything yet.": "尚无操作。",
    "light": "浅色",
    "dark": "深色",
    "The connection is lost; the page asks again.": "连接中断，正在重试。",
    "Back": "返回",
    "ago": "前",
}


def say(language: str, text: str, *, also: Mapping[str, str] = NONE) -> str:
    """Return `text` in `language`; English where neither the page nor `also` has another word."""
    return CHINESE.get(text) or also.get(text, text) if language == "zh" else text


def choose(cookie: str, header: str) -> str:
    """Return the language that a browser wants: what was chosen before, else its first that we speak."""
    if cookie in LANGUAGES:
        return cookie
    for part in header.split(","):
        word = part.partition(";")[0].strip().lower()[:2]
        if word in LANGUAGES:
            return word
    return "en"
