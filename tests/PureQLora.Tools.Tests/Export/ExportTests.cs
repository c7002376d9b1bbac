using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Tools.Tests;

public sealed class ExportTests : IDisposable
{
    private readonly TemporaryFolder _temporary = new();

    public void Dispose() => _temporary.Dispose();

    [Theory]
    [InlineData("lora")]
    [InlineData("rslora")]
    [InlineData("patterns")]
    public void Merge_GivenAGoldenAdapter_ShouldMatchPeft(string variant)
    {
        GoldenModel model = new("llama-mha");
        GoldenModel golden = new("lora", $"llama-mha--{variant}");
        Tool.Export("merge", "--model", model.Folder, "--adapter", golden.Folder, "--output", _temporary["merged"]).ShouldSucceed();
        Assert.Equal(["merged"], _temporary.Entries);
        GoldenTensors merged = GoldenTensors.Read(Path.Combine(_temporary["merged"], "model.safetensors"));
        Assert.Equal(GoldenTensors.Read(Path.Combine(model.Folder, "model.safetensors")).Names.Order(StringComparer.Ordinal), merged.Names.Order(StringComparer.Ordinal));
        foreach (string name in golden.Values.Names.Where(name => name.StartsWith("merged.model.", StringComparison.Ordinal)))
        {
            golden.ShouldEqual(name, merged.Floats(name["merged.".Length..]), "merged.weight");
        }

        golden.ShouldEqual("merged.logits", Logits(_temporary["merged"], model.Rows("input_ids")), "merged.logits");
    }

    [Fact]
    public void Merge_GivenAType_ShouldStoreAllTensorsInIt()
    {
        string model = SmallModel.Write(_temporary["model"]);
        string adapter = SmallModel.WriteAdapter(model, _temporary["adapter"]);
        Tool.Export("merge", "--model", model, "--adapter", adapter, "--output", _temporary["merged"], "--dtype", "bfloat16").ShouldSucceed();
        GoldenTensors merged = GoldenTensors.Read(Path.Combine(_temporary["merged"], "model.safetensors"));
        Assert.All(merged.Names, name => Assert.Equal("BF16", merged.DataType(name)));
        Assert.Contains("bfloat16", File.ReadAllText(Path.Combine(_temporary["merged"], "config.json")), StringComparison.Ordinal);
        Assert.Equal(
            File.ReadAllBytes(Path.Combine(model, "tokenizer.json")), File.ReadAllBytes(Path.Combine(_temporary["merged"], "tokenizer.json")));
    }

    [Fact]
    public void Merge_GivenAQuantizedBase_ShouldRefuseUnlessAsked()
    {
        string model = RepositoryPaths.Fixture("quantization", "checkpoints", "gptq_b4_g64_sym");
        string adapter = SmallModel.WriteAdapter(model, _temporary["adapter"]);
        Tool.Export("merge", "--model", model, "--adapter", adapter, "--output", _temporary["merged"]).ShouldBeRefused("--requantize");
        Tool.Export("merge", "--model", model, "--adapter", adapter, "--output", _temporary["merged"], "--requantize", "--dtype", "float16").ShouldBeRefused("--dtype");
        Assert.Equal(["adapter"], _temporary.Entries);

        ToolResult result = Tool.Export("merge", "--model", model, "--adapter", adapter, "--output", _temporary["merged"], "--requantize").ShouldSucceed();
        Assert.Equal(8, result.Output.Split('\n').Count(line => line.Contains("relative error", StringComparison.Ordinal)));
        GoldenTensors before = GoldenTensors.Read(Path.Combine(model, "model.safetensors"));
        GoldenTensors after = GoldenTensors.Read(Path.Combine(_temporary["merged"], "model.safetensors"));
        string[] words = [.. before.Names.Where(name => name.EndsWith("qweight", StringComparison.Ordinal))];
        Assert.All(words, name => Assert.Equal(name.Contains("mlp", StringComparison.Ordinal), before.Bytes(name).AsSpan().SequenceEqual(after.Bytes(name))));
        Assert.All(
            after.Names.Where(name => name.EndsWith("qzeros", StringComparison.Ordinal)), name => Assert.All(after.Ints(name), word => Assert.Equal(0x77777777, word)));
        using ModelFolder exact = ModelFolder.Open(model, adapter);
        using ModelFolder rounded = ModelFolder.Open(_temporary["merged"]);
        foreach ((LinearLayer source, LinearLayer merged) in exact.Model.Linears.Zip(rounded.Model.Linears).Where(pair => pair.First.Adapter is not null))
        {
            AssertWithinHalfAStep(LoraMerge.MergedWeight(source), merged.Weight.Quantized!);
        }
    }

    [Fact]
    public void Merge_GivenABaseOfNf4_ShouldRoundToItsLevelsAndLeaveOtherLayersAlone()
    {
        string model = RepositoryPaths.Fixture("quantization", "bnb", "llama_nf4_double");
        string adapter = SmallModel.WriteAdapter(model, _temporary["adapter"]);
        Tool.Export("merge", "--model", model, "--adapter", adapter, "--output", _temporary["merged"]).ShouldBeRefused("--requantize");

        ToolResult result = Tool.Export("merge", "--model", model, "--adapter", adapter, "--output", _temporary["merged"], "--requantize").ShouldSucceed();

        Assert.Equal(8, result.Output.Split('\n').Count(line => line.Contains("relative error", StringComparison.Ordinal)));
        GoldenTensors before = GoldenTensors.Read(Path.Combine(model, "model.safetensors"));
        GoldenTensors after = GoldenTensors.Read(Path.Combine(_temporary["merged"], "model.safetensors"));
        Assert.Equal(before.Names.Order(StringComparer.Ordinal), after.Names.Order(StringComparer.Ordinal));
        Assert.All(
            before.Names.Where(name => name.EndsWith("_proj.weight", StringComparison.Ordinal)),
            name => Assert.Equal(name.Contains("mlp", StringComparison.Ordinal), before.Bytes(name).AsSpan().SequenceEqual(after.Bytes(name))));
        using ModelFolder exact = ModelFolder.Open(model, adapter);
        using ModelFolder rounded = ModelFolder.Open(_temporary["merged"]);
        foreach ((LinearLayer source, LinearLayer merged) in exact.Model.Linears.Zip(rounded.Model.Linears).Where(pair => pair.First.Adapter is not null))
        {
            float[] wanted = LoraMerge.MergedWeight(source);
            float[] actual = merged.Weight.Quantized!.Dequantize();
            double error = wanted.Zip(actual, (w, a) => ((double)w - a) * (w - a)).Sum() / wanted.Sum(value => (double)value * value);
            Assert.InRange(Math.Sqrt(error), 0.05, 0.12);
        }
    }

    [Fact]
    public void Merge_GivenABaseOfAwq_ShouldWriteTheGptqLayout()
    {
        string model = RepositoryPaths.Fixture("quantization", "checkpoints", "awq_gemm_b4");
        string adapter = SmallModel.WriteAdapter(model, _temporary["adapter"]);
        Tool.Export("merge", "--model", model, "--adapter", adapter, "--output", _temporary["merged"], "--requantize").ShouldSucceed();
        using ModelFolder exact = ModelFolder.Open(model, adapter);
        using ModelFolder rounded = ModelFolder.Open(_temporary["merged"]);
        Assert.IsType<GptqConfig>(rounded.Checkpoint.Config.Quantization);
        foreach ((LinearLayer source, LinearLayer merged) in exact.Model.Linears.Zip(rounded.Model.Linears))
        {
            if (source.Adapter is null)
            {
                Assert.Equal(source.Weight.Quantized!.Dequantize(), merged.Weight.Quantized!.Dequantize());
            }
            else
            {
                AssertWithinHalfAStep(LoraMerge.MergedWeight(source), merged.Weight.Quantized!);
            }
        }
    }

    [Fact]
    public void Merge_GivenAPartlyQuantizedBase_ShouldMergeItsDenseLayersToo()
    {
        string dense = SmallModel.Write(_temporary["dense"]);
        Tool.Quantize("--model", dense, "--output", _temporary["model"], "--method", "rtn", "--bits", "8", "--group-size", "32", "--targets", "q_proj,up_proj").ShouldSucceed();
        string adapter = SmallModel.WriteAdapter(_temporary["model"], _temporary["adapter"]);
        Tool.Export("merge", "--model", _temporary["model"], "--adapter", adapter, "--output", _temporary["merged"], "--requantize").ShouldSucceed();
        float[] expected = Logits(_temporary["model"], "[[1, 9, 30, 77]]", "--adapter", adapter);
        AssertClose(expected, Logits(_temporary["merged"], "[[1, 9, 30, 77]]"));
        Assert.Throws<Xunit.Sdk.TrueException>(() => AssertClose(expected, Logits(_temporary["model"], "[[1, 9, 30, 77]]")));
        using HuggingFaceCheckpoint merged = HuggingFaceCheckpoint.Open(_temporary["merged"]);
        Assert.NotEqual(merged.Get("model.layers.0.self_attn.k_proj.weight").ToArray(), DenseKey(dense));
    }

    [Fact]
    public void Merge_GivenBadInput_ShouldRefuseAndLeaveNothing()
    {
        string model = RepositoryPaths.Fixture("models", "llama-mha");
        string adapter = RepositoryPaths.Fixture("models", "bad", "good");
        string file = _temporary.Write("file", "x");
        Tool.Export("merge", "--model", model, "--adapter", RepositoryPaths.Fixture("models", "train", "qwen2--lora", "final"), "--output", _temporary["out"]).ShouldBeRefused("adapter_model.safetensors");
        Tool.Export("merge", "--model", model, "--adapter", adapter, "--output", file).ShouldBeRefused("is a file");
        Tool.Export("merge", "--model", model, "--adapter", adapter, "--output", Path.Combine(file, "below")).ShouldBeRefused("cannot be made");
        Tool.Export("merge", "--model", model, "--adapter", adapter, "--output", _temporary["out"], "--dtype", "int8").ShouldBeRefused("bfloat16");
        Tool.Export("merge", "--model", model, "--adapter", adapter, "--output", _temporary.Path).ShouldBeRefused("not empty");
        Tool.Export("merge", "--model", model, "--output", _temporary["out"]).ShouldBeRefused("--adapter");
        Tool.Export("merge", "--model", "", "--adapter", adapter, "--output", _temporary["out"]).ShouldBeRefused("--model is empty");
        Tool.Export().ShouldBeRefused("--help");
        Assert.Equal(["file"], _temporary.Entries);
    }

    private static void AssertClose(float[] expected, float[] actual)
    {
        double error = expected.Zip(actual, (e, a) => ((double)e - a) * (e - a)).Sum();
        double norm = expected.Sum(value => (double)value * value);

        // Rounding to 8 bits again moves the weights by less than a percent; a merge that was forgotten moves the logits far more.
        Assert.True(error < norm * 0.0004, $"relative error {Math.Sqrt(error / norm):F3}");
    }

    private static void AssertWithinHalfAStep(float[] weights, QuantizedMatrix matrix)
    {
        for (int row = 0; row < matrix.OutDim; row++)
        {
            for (int column = 0; column < matrix.InDim; column++)
            {
                // Half a step, and what rounding the scale to float16 costs over the range of the codes.
                float allowed = matrix.Scale(row, matrix.GroupOf(column)) * (0.5f + ((1 << matrix.Bits) / 2048f));
                Assert.InRange(matrix[row, column] - weights[(row * matrix.InDim) + column], -allowed, allowed);
            }
        }
    }

    private static float[] DenseKey(string folder)
    {
        using HuggingFaceCheckpoint checkpoint = HuggingFaceCheckpoint.Open(folder);
        return checkpoint.Get("model.layers.0.self_attn.k_proj.weight").ToArray();
    }

    private float[] Logits(string model, string ids, params string[] more)
    {
        Tool.Inspect(["logits", "--model", model, "--token-ids", _temporary.Write("ids.json", ids), "--output", _temporary["logits"], .. more]).ShouldSucceed();
        File.Delete(_temporary["ids.json"]);
        return GoldenTensors.Read(_temporary["logits"]).Floats("logits");
    }
}
