using System.Text.Json;
using System.Text.Json.Nodes;
using PureQLora.Core;

namespace PureQLora.Models.Tests;

/// <summary>GPTQModel's <c>dynamic</c> settings: the first key that matches from the start of a module's name counts.</summary>
public sealed class GptqDynamicTests
{
    [Theory]
    [InlineData("model.layers.0.self_attn.q_proj", 8, 64)]
    [InlineData("model.layers.0.mlp.down_proj", 4, 128)]
    [InlineData("model.layers.1.self_attn.q_proj", 4, 32)] // bits stay the checkpoint's
    [InlineData("model.layers.1.mlp.down_proj", 3, -1)]
    [InlineData("model.layers.11.mlp.down_proj", 3, -1)]   // a pattern that does not end may go on
    [InlineData("outer.model.layers.0.self_attn.q_proj", 4, 128)]
    public void For_GivenAModule_ShouldTakeTheFirstMatchFromItsStart(string module, int bits, int groupSize)
    {
        GptqConfig config = Parse("""
            {"bits": 4, "group_size": 128, "dynamic": {
              "+:model\\.layers\\.0\\..*q_proj": {"bits": 8, "group_size": 64},
              "model\\.layers\\.1\\.self_attn": {"group_size": 32, "mse": 2.4},
              "+:.*\\.self_attn\\..*$": {},
              "-:lm_head": {},
              "+:model\\.layers\\.1": {"bits": 3, "group_size": -1}}}
            """);

        Assert.Equal((bits, groupSize), (config.For(module).Bits, config.For(module).GroupSize));
        Assert.Null(config.OverrideOf("something.else"));
        Assert.True(config.OverrideOf("lm_head")!.Excluded);
    }

    [Fact]
    public void ToJson_GivenOverrides_ShouldReadBackEqual()
    {
        GptqConfig config = new()
        {
            Bits = 4,
            GroupSize = 64,
            Dynamic =
            [
                new GptqOverride(@"model\.layers\.(?:0|12)\.self_attn\.(?:q|k|v|qkv)_proj$", Excluded: false) { Bits = 3, GroupSize = 32 },
                new GptqOverride(@"model\.layers\.3", Excluded: true),
                new GptqOverride("", Excluded: false) { DescendingActivations = true },
            ],
        };

        GptqConfig again = Parse(config.ToJson().ToJsonString());

        Assert.Equal(config.Dynamic, again.Dynamic);
        Assert.Equal(config.ToJson().ToJsonString(), again.ToJson().ToJsonString());
        Assert.StartsWith("+:", config.ToJson()["dynamic"]!.AsObject().First().Key, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"+:(": {"bits": 4}}""", "regular expression")]
    [InlineData("""{"+:(a+)+\\1": {"bits": 4}}""", "linear time")]
    [InlineData("""{"+:(?=x)": {"bits": 4}}""", "linear time")]
    [InlineData("""{"+:a)|(b": {"bits": 4}}""", "regular expression")]
    [InlineData("""{"+:x": {"bits": 5}}""", "2, 3, 4 and 8")]
    [InlineData("""{"+:x": {"bits": "four"}}""", "whole number")]
    [InlineData("""{"+:x": {"group_size": 0}}""", "group_size")]
    [InlineData("""{"+:x": {"group_size": -2}}""", "group_size")]
    [InlineData("""{"+:x": {"desc_act": 1}}""", "true or false")]
    [InlineData("""{"+:x": {"pack_dtype": "int16"}}""", "int32")]
    [InlineData("""{"+:x": 4}""", "an object")]
    [InlineData("""{"+:x": null}""", "an object")]
    [InlineData("""[1]""", "an object")]
    public void Parse_GivenHostileOverrides_ShouldSayWhatIsAllowed(string dynamic, string word)
    {
        UserErrorException error = Assert.Throws<UserErrorException>(() => Parse("{\"bits\": 4, \"group_size\": 64, \"dynamic\": " + dynamic + "}"));
        Assert.Contains(word, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Parse_GivenManyOrLongPatterns_ShouldRefuseThem()
    {
        JsonObject many = new(Enumerable.Range(0, 5000).Select(i => KeyValuePair.Create($"+:m{i}", (JsonNode?)new JsonObject())));
        Assert.Throws<UserErrorException>(() => Parse("{\"bits\": 4, \"group_size\": 64, \"dynamic\": " + many.ToJsonString() + "}"));
        Assert.Throws<UserErrorException>(() => Parse("{\"bits\": 4, \"group_size\": 64, \"dynamic\": {\"+:" + new string('a', 2000) + "\": {}}}"));
    }

    [Fact]
    public void Describe_GivenAPlan_ShouldGiveEveryLayerItsSettingsAndFusedNamesTheSame()
    {
        string[] modules = [.. Enumerable.Range(0, 40).SelectMany(block => LlamaTensorNames.LinearLayersOfBlock.Select(name => $"model.layers.{block}.{name}"))];
        LayerSettings Of(string module)
        {
            int block = int.Parse(module.Split('.')[2], System.Globalization.CultureInfo.InvariantCulture);
            return (block % 3, module.Contains("self_attn.o", StringComparison.Ordinal) || module.Contains("down", StringComparison.Ordinal)) switch
            {
                (0, true) => new(8, 128),
                (1, false) => new(3, 64),
                _ => new(4, 64),
            };
        }

        MixedPrecisionPlan plan = new(modules.ToDictionary(module => module, Of), 4, 0, [], []);
        GptqConfig config = plan.Describe(new GptqConfig { Bits = 2, GroupSize = 2 });

        Assert.Equal((4, 64), (config.Bits, config.GroupSize));
        Assert.All(modules, module => Assert.Equal(Of(module), new LayerSettings(config.For(module).Bits, config.For(module).GroupSize)));
        Assert.Equal((3, 64), (config.For("model.layers.1.self_attn.qkv_proj").Bits, config.For("model.layers.1.mlp.gate_up_proj").GroupSize));
    }

    private static GptqConfig Parse(string json)
    {
        using JsonDocument document = JsonDocument.Parse(json);
        return GptqConfig.Parse(new JsonFields(document.RootElement, "quantize_config.json"));
    }
}
