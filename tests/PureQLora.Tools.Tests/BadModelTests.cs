using System.Buffers.Binary;
using System.Text;
using System.Text.Json.Nodes;

namespace PureQLora.Tools.Tests;

/// <summary>Damaged, lying and foreign files, through the tools: one sentence, exit code 2.</summary>
public sealed class BadModelTests : IDisposable
{
    private readonly TemporaryFolder _temporary = new();

    public static TheoryData<string> BadAdapters =>
        [.. Directory.GetDirectories(RepositoryPaths.Fixture("models", "bad")).Select(folder => Path.GetFileName(folder)!).Where(name => name != "good").Order(StringComparer.Ordinal)];

    public void Dispose() => _temporary.Dispose();

    [Theory]
    [InlineData("truncated")]
    [InlineData("empty")]
    [InlineData("header length absurd")]
    [InlineData("header length negative")]
    [InlineData("header cut")]
    [InlineData("overlap")]
    [InlineData("beyond the file")]
    [InlineData("size against type")]
    [InlineData("duplicate name")]
    [InlineData("absurd shape")]
    [InlineData("wrong types")]
    [InlineData("NaN")]
    public void Model_GivenADamagedSafetensorsFile_ShouldRefuse(string damage)
    {
        string folder = _temporary.CopyOf(RepositoryPaths.Fixture("models", "llama-bias"), "model");
        string path = Path.Combine(folder, "model.safetensors");
        File.WriteAllBytes(path, Damage(File.ReadAllBytes(path), damage));
        Tool.Inspect("model", folder).ShouldBeRefused("model.safetensors");
        Tool.Quantize("--model", folder, "--output", _temporary["out"], "--method", "rtn").ShouldBeRefused("model.safetensors");
        Assert.Equal(["model"], _temporary.Entries);
    }

    [Fact]
    public void Model_GivenAMissingShard_ShouldNameIt()
    {
        string folder = _temporary.CopyOf(RepositoryPaths.Fixture("models", "llama-sharded"), "model");
        Tool.Inspect("model", folder).ShouldSucceed();
        File.Delete(Path.Combine(folder, "model-00003-of-00004.safetensors"));
        Tool.Inspect("model", folder).ShouldBeRefused("model-00003-of-00004.safetensors");
    }

    [Theory]
    [InlineData("intermediate_size", "100", "config.json")]
    [InlineData("num_hidden_layers", "3", "missing")]
    [InlineData("num_hidden_layers", "1", "not part of the model")]
    [InlineData("vocab_size", "4000000000000", "vocab_size")]
    [InlineData("hidden_size", "\"64\"", "hidden_size")]
    [InlineData("hidden_size", "-64", "hidden_size")]
    [InlineData("rms_norm_eps", "[]", "rms_norm_eps")]
    [InlineData("model_type", "\"gpt2\"", "gpt2")]
    public void Model_GivenAConfigurationThatDoesNotFit_ShouldRefuse(string key, string value, string word)
    {
        string folder = _temporary.CopyOf(RepositoryPaths.Fixture("models", "llama-mha"), "model");
        string path = Path.Combine(folder, "config.json");
        JsonObject config = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
        config[key] = JsonNode.Parse(value);
        if (key == "model_type")
        {
            config["architectures"] = new JsonArray("GPT2LMHeadModel");
            word = "GPT2LMHeadModel";
        }

        File.WriteAllText(path, config.ToJsonString());
        Tool.Inspect("model", folder).ShouldBeRefused(word);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{\"hidden_size\": 64")]
    [InlineData("[]")]
    [InlineData(null)]
    public void Model_GivenNoConfiguration_ShouldRefuse(string? text)
    {
        string folder = _temporary.CopyOf(RepositoryPaths.Fixture("models", "llama-mha"), "model");
        File.Delete(Path.Combine(folder, "config.json"));
        if (text is not null)
        {
            _temporary.Write(Path.Combine("model", "config.json"), text);
        }

        Tool.Inspect("model", folder).ShouldBeRefused("config.json");
    }

    [Fact]
    public void Model_GivenNoFolder_ShouldRefuse()
    {
        Tool.Inspect("model", _temporary["absent"]).ShouldBeRefused("absent");
        Tool.Generate("--model", _temporary["absent"], "--prompt", "a").ShouldBeRefused("absent");
        Tool.Evaluate("perplexity", "--model", _temporary.Path, "--token-ids", "x").ShouldBeRefused("config.json");
    }

    [Theory]
    [MemberData(nameof(BadAdapters))]
    public void Adapter_GivenADamagedFolder_ShouldRefuse(string name)
    {
        string ids = _temporary.Write("ids.json", "[[1, 2]]");
        Tool.Inspect(
            "logits", "--model", RepositoryPaths.Fixture("models", "llama-mha"), "--adapter", RepositoryPaths.Fixture("models", "bad", name),
            "--token-ids", ids, "--output", _temporary["out"]).ShouldBeRefused("adapter_");
        Assert.Equal(["ids.json"], _temporary.Entries);
    }

    [Fact]
    public void Adapter_GivenTheSoundFolder_ShouldLoad() =>
        Tool.Inspect(
            "logits", "--model", RepositoryPaths.Fixture("models", "llama-mha"), "--adapter", RepositoryPaths.Fixture("models", "bad", "good"),
            "--token-ids", _temporary.Write("ids.json", "[[1, 2]]"), "--output", _temporary["out"]).ShouldSucceed();

    [Theory]
    [InlineData("{\"model\": {\"type\": \"BPE\", \"vocab\": [], \"merges\": {}}}")]
    [InlineData("{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": \"0\"}, \"merges\": []}}")]
    [InlineData("{\"model\": 7}")]
    [InlineData("{\"model\": {\"type\": \"Unigram\", \"vocab\": []}}")]
    [InlineData("[]")]
    [InlineData("")]
    public void Tokens_GivenATokenizerOfWrongTypes_ShouldRefuse(string json) =>
        Tool.Inspect("tokens", "--model", _temporary.Write("tokenizer.json", json), "--text-file", _temporary.Write("t.jsonl", "\"a\"")).ShouldBeRefused("tokenizer.json");

    [Fact]
    public void Tokens_GivenATokenizerWithoutAPieceForAByte_ShouldRefuse()
    {
        string folder = _temporary.CopyOf(RepositoryPaths.Fixture("text", "tokenizers", "bpe800"), "tokenizer");
        string path = Path.Combine(folder, "tokenizer.json");
        JsonNode json = JsonNode.Parse(File.ReadAllText(path))!;
        Assert.True(json["model"]!["vocab"]!.AsObject().Remove("\u0100")); // byte 0 in the alphabet of byte-level BPE
        File.WriteAllText(path, json.ToJsonString());
        Tool.Inspect("tokens", "--model", folder, "--text-file", _temporary.Write("t.jsonl", "\"a\\u0000b\"")).ShouldBeRefused("byte");
    }

    private static byte[] Damage(byte[] file, string damage)
    {
        int length = (int)BinaryPrimitives.ReadInt64LittleEndian(file);
        string header = Encoding.UTF8.GetString(file, 8, length);
        byte[] data = file[(8 + length)..];
        JsonObject json = JsonNode.Parse(header)!.AsObject();
        KeyValuePair<string, JsonNode?>[] tensors = [.. json.Where(entry => entry.Key != "__metadata__")];
        JsonNode first = tensors[0].Value!;
        switch (damage)
        {
            case "truncated":
                return file[..^100];
            case "empty":
                return [];
            case "header length absurd":
                BinaryPrimitives.WriteInt64LittleEndian(file, long.MaxValue);
                return file;
            case "header length negative":
                BinaryPrimitives.WriteInt64LittleEndian(file, -1);
                return file;
            case "header cut":
                BinaryPrimitives.WriteInt64LittleEndian(file, length / 2);
                return file;
            case "NaN":
                BinaryPrimitives.WriteSingleLittleEndian(data, float.NaN);
                return Build(header, data);
            case "duplicate name":
                return Build($"{{\"{tensors[0].Key}\":{first.ToJsonString()},{header[1..]}", data);
            case "overlap":
                // Two tensors of one size in one place.
                string size = first["shape"]!.ToJsonString();
                tensors.Skip(1).First(entry => entry.Value!["shape"]!.ToJsonString() == size).Value!["data_offsets"] = first["data_offsets"]!.DeepClone();
                break;
            case "beyond the file":
                first["data_offsets"] = new JsonArray(first["data_offsets"]![0]!.GetValue<long>() + data.Length, first["data_offsets"]![1]!.GetValue<long>() + data.Length);
                break;
            case "size against type":
                first["dtype"] = "F16";
                break;
            case "absurd shape":
                first["shape"] = new JsonArray(long.MaxValue, 4);
                break;
            default:
                first["shape"] = "many";
                break;
        }

        return Build(json.ToJsonString(), data);
    }

    private static byte[] Build(string header, byte[] data)
    {
        byte[] text = Encoding.UTF8.GetBytes(header);
        byte[] length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, text.Length);
        return [.. length, .. text, .. data];
    }
}
