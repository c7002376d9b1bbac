using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using PureQLora.Core;

namespace PureQLora.Models.Tests;

public sealed class LlamaConfigTests
{
    private static readonly string[] Goldens =
        ["llama-mha", "llama3-gqa", "llama-sharded", "mistral-sliding", "qwen2", "qwen3", "llama-bias", "llama-linear", "llama-yarn"];

    public static TheoryData<string> Models => [.. Goldens];

    [Theory]
    [InlineData("llama-mha", ModelFamily.Llama, 192, 128, 4, 4, 16, 1e-5, false, false, "float32")]
    [InlineData("llama3-gqa", ModelFamily.Llama, 160, 112, 4, 2, 16, 1e-5, true, false, "bfloat16")]
    [InlineData("llama-sharded", ModelFamily.Llama, 128, 96, 8, 1, 8, 1e-6, false, false, "float32")]
    [InlineData("mistral-sliding", ModelFamily.Mistral, 144, 96, 4, 2, 16, 1e-5, false, false, "float16")]
    [InlineData("qwen2", ModelFamily.Qwen2, 176, 96, 4, 2, 16, 1e-6, true, true, "float32")]
    [InlineData("qwen3", ModelFamily.Qwen3, 128, 96, 4, 2, 24, 1e-6, false, false, "float32")]
    [InlineData("llama-bias", ModelFamily.Llama, 128, 96, 4, 2, 24, 1e-5, false, true, "float32")]
    [InlineData("llama-linear", ModelFamily.Llama, 128, 96, 4, 4, 16, 1e-5, false, false, "float32")]
    [InlineData("llama-yarn", ModelFamily.Llama, 128, 96, 4, 2, 16, 1e-5, false, false, "float32")]
    public void Read_GivenAGoldenModel_ShouldFindItsSizes(
        string model, ModelFamily family, int vocabulary, int intermediate, int heads, int keyValueHeads, int headDim, double epsilon, bool tied, bool bias, string type)
    {
        LlamaConfig config = LlamaConfig.Read(RepositoryPaths.Fixture("models", model));

        Assert.Equal((family, vocabulary, 64, intermediate, 2), (config.Family, config.VocabularySize, config.HiddenSize, config.IntermediateSize, config.Layers));
        Assert.Equal((heads, keyValueHeads, headDim), (config.Heads, config.KeyValueHeads, config.HeadDim));
        Assert.Equal((epsilon, tied, bias, type), (config.RmsNormEpsilon, config.TieWordEmbeddings, config.QueryKeyValueBias, config.StoredType));
        Assert.Equal(model == "llama-bias", config.OutputBias);
        Assert.Equal(model == "llama-bias", config.MlpBias);
        Assert.Equal(model == "qwen3", config.QueryKeyNorm);
        Assert.Equal(model == "llama-yarn" ? 8192 : 256, config.MaxPositions);
        Assert.Equal(model == "mistral-sliding" ? [8, 8] : new int?[] { null, null }, config.SlidingWindows);
        Assert.Equal(model switch { "llama3-gqa" => 500000, "qwen2" or "qwen3" => 1e6, _ => 10000 }, config.RopeTheta);
        Assert.Equal(1, config.BosId);
        Assert.Equal([2], config.EosIds);
        Assert.Null(config.Quantization);
        Assert.Empty(config.IgnoredKeys);
    }

    [Fact]
    public void Read_GivenRopeScalings_ShouldFindTheirParameters()
    {
        Assert.Equal(new RopeScaling.Llama3(8, 1, 4, 48), LlamaConfig.Read(RepositoryPaths.Fixture("models", "llama3-gqa")).RopeScaling);
        Assert.Equal(new RopeScaling.Linear(4), LlamaConfig.Read(RepositoryPaths.Fixture("models", "llama-linear")).RopeScaling);
        Assert.Equal(new RopeScaling.Yarn(4, 2048), LlamaConfig.Read(RepositoryPaths.Fixture("models", "llama-yarn")).RopeScaling);
        Assert.Equal(RopeScaling.None, LlamaConfig.Read(RepositoryPaths.Fixture("models", "llama-bias")).RopeScaling);
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void RotaryFrequencies_GivenAGoldenModel_ShouldMatchTransformers(string model)
    {
        RotaryFrequencies rotary = RotaryFrequencies.Compute(LlamaConfig.Read(RepositoryPaths.Fixture("models", model)));

        double[] expected = GoldenTensors.Read(RepositoryPaths.Fixture("models", model, "golden.safetensors")).Doubles("rope.inv_freq");
        Assert.Equal(expected.Length, rotary.InverseFrequencies.Length);
        for (int i = 0; i < expected.Length; i++)
        {
            // The golden values are float64 rounded to float32 once: half a unit in the last place.
            Assert.Equal(expected[i], rotary.InverseFrequencies[i], Math.Abs(expected[i]) * 6e-8);
        }

        using JsonDocument golden = JsonDocument.Parse(File.ReadAllBytes(RepositoryPaths.Fixture("models", model, "golden.json")));
        Assert.Equal(golden.RootElement.GetProperty("rope_attention_factor").GetDouble(), rotary.AttentionFactor, 1e-15);
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void ToJson_GivenAConfig_ShouldReadBackTheSame(string model)
    {
        LlamaConfig config = LlamaConfig.Read(RepositoryPaths.Fixture("models", model));

        LlamaConfig again = LlamaConfig.Parse(config.ToJson());

        Assert.Equal(config.SlidingWindows, again.SlidingWindows);
        Assert.Equal(config.EosIds, again.EosIds);
        Assert.Empty(again.IgnoredKeys);
        Assert.Equal(config, again with { SlidingWindows = config.SlidingWindows, EosIds = config.EosIds, IgnoredKeys = config.IgnoredKeys });
    }

    [Theory]
    [InlineData("hidden_act", "\"gelu\"")]
    [InlineData("pretraining_tp", "2")]
    [InlineData("partial_rotary_factor", "0.5")]
    [InlineData("num_local_experts", "8")]
    [InlineData("final_logit_softcapping", "30.0")]
    [InlineData("embedding_multiplier", "12.0")]
    [InlineData("auto_map", "{\"AutoModelForCausalLM\": \"modeling.Own\"}")]
    [InlineData("rope_scaling", "{\"type\": \"dynamic\", \"factor\": 2.0}")]
    [InlineData("rope_scaling", "{\"rope_type\": \"longrope\", \"factor\": 2.0}")]
    [InlineData("rope_scaling", "{\"factor\": 2.0}")]
    [InlineData("rope_scaling", "{\"rope_type\": \"linear\"}")]
    [InlineData("rope_scaling", "{\"rope_type\": \"yarn\", \"factor\": 2.0, \"beta_fast\": 1, \"beta_slow\": 2}")]
    [InlineData("rope_scaling", "7")]
    [InlineData("rope_parameters", "{\"full_attention\": {\"rope_type\": \"default\"}}")]
    [InlineData("rope_parameters", "{\"rope_type\": \"default\", \"partial_rotary_factor\": 0.25}")]
    [InlineData("rope_theta", "0")]
    [InlineData("hidden_size", "0")]
    [InlineData("hidden_size", "-64")]
    [InlineData("hidden_size", "1e300")]
    [InlineData("hidden_size", "64.5")]
    [InlineData("hidden_size", "\"64\"")]
    [InlineData("hidden_size", "null")]
    [InlineData("vocab_size", "99999999999")]
    [InlineData("num_hidden_layers", "1000000")]
    [InlineData("num_key_value_heads", "3")]
    [InlineData("head_dim", "15")]
    [InlineData("rms_norm_eps", "\"small\"")]
    [InlineData("tie_word_embeddings", "\"false\"")]
    [InlineData("eos_token_id", "[2, \"3\"]")]
    [InlineData("sliding_window", "128")]
    [InlineData("layer_types", "[\"full_attention\"]")]
    [InlineData("layer_types", "[\"full_attention\", \"linear_attention\"]")]
    [InlineData("layer_types", "[\"full_attention\", \"sliding_attention\"]")]
    [InlineData("architectures", "[\"GraniteForCausalLM\"]")]
    [InlineData("architectures", "[\"LlamaForSequenceClassification\"]")]
    [InlineData("model_type", "\"mixtral\"")]
    [InlineData("quantization_config", "{\"quant_method\": \"hqq\", \"bits\": 4, \"group_size\": 64}")]
    [InlineData("quantization_config", "{\"quant_method\": \"awq\", \"bits\": 3, \"group_size\": 64}")]
    [InlineData("quantization_config", "{\"quant_method\": \"awq\", \"bits\": 4, \"group_size\": 0}")]
    [InlineData("quantization_config", "{\"quant_method\": \"awq\", \"bits\": 4, \"group_size\": 64, \"version\": \"gemv\"}")]
    [InlineData("quantization_config", "{\"quant_method\": \"awq\", \"bits\": 4, \"group_size\": 64, \"zero_point\": false}")]
    [InlineData("quantization_config", "{\"quant_method\": \"bitsandbytes\", \"load_in_8bit\": true}")]
    [InlineData("quantization_config", "{\"quant_method\": \"bitsandbytes\", \"load_in_4bit\": true, \"bnb_4bit_quant_type\": \"int4\"}")]
    [InlineData("quantization_config", "{\"quant_method\": \"bitsandbytes\", \"load_in_4bit\": true, \"bnb_4bit_quant_storage\": \"bfloat16\"}")]
    [InlineData("quantization_config", "{\"quant_method\": \"gptq\", \"bits\": 5, \"group_size\": 64}")]
    [InlineData("quantization_config", "{\"quant_method\": \"gptq\", \"bits\": 4, \"group_size\": 0}")]
    public void Parse_GivenAnOptionItCannotHonour_ShouldRefuseItByName(string key, string value)
    {
        JsonObject json = JsonNode.Parse(File.ReadAllBytes(RepositoryPaths.Fixture("models", "llama-mha", "config.json")))!.AsObject();
        json[key] = JsonNode.Parse(value);

        UserErrorException error = Assert.Throws<UserErrorException>(() => LlamaConfig.Parse(json.ToJsonString(), "strange/config.json"));

        Assert.StartsWith("strange/config.json: ", error.Message, StringComparison.Ordinal);
        Assert.Contains(key is "num_key_value_heads" or "layer_types" ? key : $"\"{key}", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Parse_GivenUnknownKeys_ShouldListThem()
    {
        JsonObject json = JsonNode.Parse(File.ReadAllBytes(RepositoryPaths.Fixture("models", "llama-linear", "config.json")))!.AsObject();
        json["secret_sauce"] = true;
        json["_name_or_path"] = "somewhere";
        json["rope_scaling"]!["finetuned"] = true;

        Assert.Equal(["rope_scaling.finetuned", "secret_sauce"], LlamaConfig.Parse(json.ToJsonString()).IgnoredKeys);
    }

    [Fact]
    public void Parse_GivenQwenWindows_ShouldWindowTheLayersAfterTheFirstOnes()
    {
        JsonObject json = JsonNode.Parse(File.ReadAllBytes(RepositoryPaths.Fixture("models", "qwen2", "config.json")))!.AsObject();
        (json["use_sliding_window"], json["sliding_window"], json["max_window_layers"]) = (true, 16, 1);
        Assert.Equal([null, 16], LlamaConfig.Parse(json.ToJsonString()).SlidingWindows);

        json["layer_types"] = new JsonArray("sliding_attention", "full_attention");
        LlamaConfig config = LlamaConfig.Parse(json.ToJsonString());
        Assert.Equal([16, null], config.SlidingWindows);
        Assert.Equal([16, null], LlamaConfig.Parse(config.ToJson()).SlidingWindows);
    }

    [Fact]
    public void Parse_GivenMistralWithoutTheKey_ShouldUseTheLibrarysWindow()
    {
        JsonObject json = JsonNode.Parse(File.ReadAllBytes(RepositoryPaths.Fixture("models", "mistral-sliding", "config.json")))!.AsObject();
        json["sliding_window"] = null;
        Assert.Equal([null, null], LlamaConfig.Parse(json.ToJsonString()).SlidingWindows);
        json.Remove("sliding_window");
        Assert.Equal([4096, 4096], LlamaConfig.Parse(json.ToJsonString()).SlidingWindows);
    }

    [Fact]
    public void Parse_GivenSeveralEosIds_ShouldKeepThemAll()
    {
        JsonObject json = JsonNode.Parse(File.ReadAllBytes(RepositoryPaths.Fixture("models", "llama-mha", "config.json")))!.AsObject();
        (json["eos_token_id"], json["pad_token_id"]) = (new JsonArray(2, 5), -1);
        LlamaConfig config = LlamaConfig.Parse(json.ToJsonString());
        Assert.Equal([2, 5], config.EosIds);
        Assert.Null(config.PadId);
        Assert.Equal([2, 5], LlamaConfig.Parse(config.ToJson()).EosIds);
    }

    [Fact]
    public void Parse_GivenAYarnWithMagnitudes_ShouldDivideThem()
    {
        JsonObject json = JsonNode.Parse(File.ReadAllBytes(RepositoryPaths.Fixture("models", "llama-yarn", "config.json")))!.AsObject();
        (json["rope_parameters"]!["mscale"], json["rope_parameters"]!["mscale_all_dim"]) = (1.0, 0.5);
        double expected = ((0.1 * Math.Log(4)) + 1) / ((0.05 * Math.Log(4)) + 1);
        Assert.Equal(expected, RotaryFrequencies.Compute(LlamaConfig.Parse(json.ToJsonString())).AttentionFactor, 1e-15);

        json["rope_parameters"]!["attention_factor"] = 1.25;
        Assert.Equal(1.25, RotaryFrequencies.Compute(LlamaConfig.Parse(json.ToJsonString())).AttentionFactor);
    }

    [Theory]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("{\"hidden_size\": 64, \"hidden_size\": 32}")]
    [InlineData("{\"model_type\": \"\\ud800\"}")]
    public void Parse_GivenWhatIsNoObject_ShouldSaySo(string text) =>
        Assert.Contains("config.json", Assert.Throws<UserErrorException>(() => LlamaConfig.Parse(text)).Message, StringComparison.Ordinal);

    [Fact]
    public void Parse_GivenDeepNesting_ShouldRefuseIt() =>
        Assert.Throws<UserErrorException>(() => LlamaConfig.Parse(string.Concat(Enumerable.Repeat("{\"a\":", 100_000))));

    [Theory]
    [InlineData("llama-yarn")]
    [InlineData("mistral-sliding")]
    [InlineData("qwen3")]
    public void Parse_GivenMutatedFiles_ShouldParseOrRefuse(string model) => HostileInput.CheckReader(
        File.ReadAllBytes(RepositoryPaths.Fixture("models", model, "config.json")),
        bytes => LlamaConfig.Parse(Encoding.Latin1.GetString(bytes)));
}
