using System.Text.Json;
using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Tools.Tests;

/// <summary>A merge of QA-LoRA into a quantised base: nothing is rounded again but the offsets, and every tool reads the file.</summary>
public sealed class QaLoraExportTests : IDisposable
{
    private const string Ids = "[[1, 9, 30, 77, 100, 7, 7, 12], [1, 30, 2, 44, 5, 600, 71, 3]]";

    private readonly TemporaryFolder _temporary = new();

    public void Dispose() => _temporary.Dispose();

    [Theory]
    [InlineData("gptq", 4)]
    [InlineData("gptq", 3)]
    [InlineData("gptq", 2)]
    public void Merge_GivenAnAdapterOfGroups_ShouldKeepTheCodesAndTheAnswers(string method, int bits)
    {
        (string model, string adapter) = Adapted(method, bits);
        float[] plain = Logits(model);
        float[] adapted = Logits(model, "--adapter", adapter);

        Tool.Export("merge", "--model", model, "--adapter", adapter, "--output", _temporary["merged"]).ShouldSucceed();

        double effect = Distance(plain, adapted);
        double norm = Math.Sqrt(adapted.Sum(value => (double)value * value));
        Assert.InRange(effect, norm / 20, double.MaxValue);

        // Float16 keeps an offset to 2⁻¹¹ of itself; the rest is the order of sums in float32.
        Assert.InRange(Distance(adapted, Logits(_temporary["merged"])), 0, (effect / 2048) + (2e-5 * norm));
        GoldenTensors before = GoldenTensors.Read(Path.Combine(model, "model.safetensors"));
        GoldenTensors after = GoldenTensors.Read(Path.Combine(_temporary["merged"], "model.safetensors"));
        Assert.All(before.Names, name => Assert.True(before.Bytes(name).AsSpan().SequenceEqual(after.Bytes(name)), name));
        Assert.Equal(14, after.Names.Count(name => name.EndsWith(".offsets", StringComparison.Ordinal)));
        Assert.Equal(before.Names.Count + 14, after.Names.Count);
        Assert.Contains("_offsets\"", File.ReadAllText(Path.Combine(_temporary["merged"], "quantize_config.json")), StringComparison.Ordinal);
        Assert.Contains("_offsets\"", File.ReadAllText(Path.Combine(_temporary["merged"], "config.json")), StringComparison.Ordinal);
    }

    [Fact]
    public void Perplexity_GivenAMergedModel_ShouldBeWhatItWasBefore()
    {
        (string model, string adapter) = Adapted("gptq", 4);
        Tool.Export("merge", "--model", model, "--adapter", adapter, "--output", _temporary["merged"]).ShouldSucceed();
        double plain = Perplexity(model);
        double before = Perplexity(model, "--adapter", adapter);
        Assert.InRange(Math.Abs(before - plain), 0.01 * plain, double.MaxValue);

        // What the offsets lose, 2⁻¹¹ of the adapter's effect at most, and six digits of float32.
        Assert.InRange(Math.Abs(Perplexity(_temporary["merged"]) - before), 0, (Math.Abs(before - plain) / 2048) + (1e-6 * before));

        // Rounding again, which plain LoRA needs, is far further off.
        Tool.Export("merge", "--model", model, "--adapter", adapter, "--output", _temporary["rounded"], "--requantize").ShouldSucceed();
        Assert.InRange(Math.Abs(Perplexity(_temporary["rounded"]) - before), 1e-4 * before, double.MaxValue);
        Assert.DoesNotContain("offsets", File.ReadAllText(Path.Combine(_temporary["rounded"], "config.json")), StringComparison.Ordinal);
    }

    [Fact]
    public void Tools_GivenAMergedModel_ShouldReadIt()
    {
        (string model, string adapter) = Adapted("gptq", 4);
        Tool.Export("merge", "--model", model, "--adapter", adapter, "--output", _temporary["merged"]).ShouldSucceed();
        Tool.Generate("--model", _temporary["merged"], "--prompt", "a", "--max-new-tokens", "4").ShouldSucceed();
        Assert.Contains("offsets", Tool.Inspect("model", _temporary["merged"]).ShouldSucceed().Output, StringComparison.Ordinal);

        // A second adapter, of QA-LoRA or plain, on the merged base.
        string second = Adapter(_temporary["merged"], _temporary["second"], groups: true, seed: 8);
        float[] adapted = Logits(_temporary["merged"], "--adapter", second);
        Tool.Export("merge", "--model", _temporary["merged"], "--adapter", second, "--output", _temporary["twice"]).ShouldSucceed();
        Assert.InRange(Distance(adapted, Logits(_temporary["twice"])), 0, Math.Sqrt(adapted.Sum(value => (double)value * value)) / 1024);
        string third = Adapter(_temporary["merged"], _temporary["third"], groups: false, seed: 9);
        Tool.Export("merge", "--model", _temporary["merged"], "--adapter", third, "--output", _temporary["out"]).ShouldBeRefused("--requantize");
        Tool.Export("merge", "--model", _temporary["merged"], "--adapter", third, "--output", _temporary["out"], "--requantize").ShouldSucceed();
        Assert.InRange(Distance(Logits(_temporary["merged"], "--adapter", third), Logits(_temporary["out"])), 0, Distance(Logits(_temporary["merged"]), Logits(_temporary["twice"])));
    }

    [Fact]
    public void Merge_GivenABaseOfNf4_ShouldRefuse()
    {
        string model = RepositoryPaths.Fixture("quantization", "bnb", "llama_nf4_double");
        using (ModelFolder folder = ModelFolder.Open(model))
        {
            LinearLayer layer = folder.Model.Linears.First();
            layer.Adapter = LoraAdapter.Initialize(layer.Weight.OutDim, layer.Weight.InDim, 2, 1f, 0f, new RandomState(1), 32);
            LoraConfig config = new() { Rank = 2, Alpha = 2, UseQaLora = true, QaLoraGroupSize = 32, TargetModules = [layer.Name] };
            PeftCheckpoint.Write(_temporary["adapter"], LoraInjection.Extract(folder.Model, config));
        }

        Tool.Export("merge", "--model", model, "--adapter", _temporary["adapter"], "--output", _temporary["out"]).ShouldBeRefused("no zero points");
        Assert.Equal(["adapter"], _temporary.Entries);
    }

    [Fact]
    public void Open_GivenDamagedOffsets_ShouldNameThem()
    {
        (string model, string adapter) = Adapted("gptq", 4);
        Tool.Export("merge", "--model", model, "--adapter", adapter, "--output", _temporary["merged"]).ShouldSucceed();
        const string Name = "model.layers.1.mlp.up_proj.offsets";
        foreach ((float value, long[] shape, SafetensorsType type, string reason) in new (float, long[], SafetensorsType, string)[]
        {
            (float.NaN, [2, 128], SafetensorsType.F16, Name),
            (float.PositiveInfinity, [2, 128], SafetensorsType.F32, Name),
            (1, [128, 2], SafetensorsType.F16, Name),
            (1, [1, 128], SafetensorsType.F16, Name),
        })
        {
            string folder = Copy(_temporary["merged"]);
            Rewrite(folder, name => name == Name, writer => writer.AddFloats(Name, Enumerable.Repeat(value, (int)(shape[0] * shape[1])).ToArray(), shape, type));
            Tool.Inspect("model", folder).ShouldBeRefused(reason);
        }

        string integers = Copy(_temporary["merged"]);
        Rewrite(integers, name => name == Name, writer => writer.AddInts(Name, new int[256], [2, 128]));
        Tool.Inspect("model", integers).ShouldBeRefused(Name);
        string missing = Copy(_temporary["merged"]);
        Rewrite(missing, name => name == Name, _ => { });
        Tool.Inspect("model", missing).ShouldBeRefused(Name);

        // Offsets that the settings do not speak of, or only one of the two files does, are never left out quietly.
        string silent = Copy(_temporary["merged"]);
        Replace(silent, "config.json");
        Tool.Inspect("model", silent).ShouldBeRefused("offsets");
        Replace(silent, "quantize_config.json");
        Tool.Inspect("model", silent).ShouldBeRefused("offsets");
    }

    private static void Replace(string folder, string file) =>
        File.WriteAllText(Path.Combine(folder, file), File.ReadAllText(Path.Combine(folder, file)).Replace("_offsets", string.Empty, StringComparison.Ordinal));

    private string Copy(string folder)
    {
        string copy = _temporary[Path.GetRandomFileName()];
        Directory.CreateDirectory(copy);
        foreach (string file in Directory.EnumerateFiles(folder))
        {
            File.Copy(file, Path.Combine(copy, Path.GetFileName(file)));
        }

        return copy;
    }

    private static void Rewrite(string folder, Func<string, bool> drops, Action<SafetensorsWriter> add)
    {
        string path = Path.Combine(folder, "model.safetensors");
        using SafetensorsFile file = SafetensorsFile.Open(path);
        SafetensorsWriter writer = new();
        foreach (string name in file.Names.Where(name => !drops(name)))
        {
            writer.AddBytes(name, file.Info(name).Type, file.ReadBytes(name), [.. file.Info(name).Shape]);
        }

        add(writer);
        writer.Write(path);
    }

    private (string Model, string Adapter) Adapted(string method, int bits)
    {
        string dense = SmallModel.Write(_temporary["dense"]);
        string calibration = _temporary.Write("calibration.json", Ids);
        Tool.Quantize("--model", dense, "--output", _temporary["model"], "--method", method, "--bits", $"{bits}", "--group-size", "32", "--calibration", calibration).ShouldSucceed();
        return (_temporary["model"], Adapter(_temporary["model"], _temporary["adapter"], groups: true, seed: 3));
    }

    private static string Adapter(string model, string folder, bool groups, ulong seed)
    {
        using ModelFolder opened = ModelFolder.Open(model);
        LoraConfig config = LoraInjection.ForBase(opened.Model, new LoraConfig { Rank = 4, Alpha = 8, TargetPattern = LoraConfig.AllLinear, UseQaLora = groups });
        LoraInjection.Inject(opened.Model, config, seed);
        RandomState random = new(seed);
        foreach (LinearLayer layer in opened.Model.Linears)
        {
            ulong key = random.NextKey();
            Span<float> values = layer.Adapter!.B.Floats;
            for (int i = 0; i < values.Length; i++)
            {
                values[i] = 0.3f * (RandomState.Uniform(key, i) - 0.5f);
            }
        }

        PeftCheckpoint.Write(folder, LoraInjection.Extract(opened.Model, config));
        return folder;
    }

    private double Perplexity(string model, params string[] more)
    {
        string output = _temporary["perplexity.json"];
        Tool.Evaluate(["perplexity", "--model", model, "--token-ids", _temporary.Write("rows.json", Ids), "--precision", "float32", "--output", output, .. more]).ShouldSucceed();
        using JsonDocument result = JsonDocument.Parse(File.ReadAllBytes(output));
        return result.RootElement.GetProperty("perplexity").GetDouble();
    }

    private float[] Logits(string model, params string[] more)
    {
        Tool.Inspect(["logits", "--model", model, "--token-ids", _temporary.Write("ids.json", Ids), "--output", _temporary["logits"], .. more]).ShouldSucceed();
        return GoldenTensors.Read(_temporary["logits"]).Floats("logits");
    }

    private static double Distance(float[] left, float[] right) => Math.Sqrt(left.Zip(right, (l, r) => ((double)l - r) * (l - r)).Sum());
}
