using System.Text.Json;
using System.Text.Json.Nodes;
using PureQLora.Core;

namespace PureQLora.Models.Tests;

/// <summary>Adapters of QA-LoRA: files, refusals, and a merge that leaves codes and scales as they are.</summary>
public sealed class QaLoraTests : IDisposable
{
    private static readonly int[] Ids = [1, 9, 30, 77, 5, 5, 61, 2];

    private readonly TemporaryFolder _temporary = new();

    public static TheoryData<string, int> Bases => new() { { "gptq_b4_g64_sym", 64 }, { "gptq_b4_g64_sym", 128 }, { "awq_gemm_b4", 0 } };

    public void Dispose() => _temporary.Dispose();

    [Theory]
    [MemberData(nameof(Bases))]
    public void MergeOffsets_GivenABase_ShouldGiveTheLogitsOfTheAdapterOnceStored(string name, int groupSize)
    {
        using ModelFolder folder = ModelFolder.Open(Base(name));
        float[] plain = Logits(folder.Model);
        LoraConfig config = Adapt(folder.Model, groupSize);
        float[] adapted = Logits(folder.Model);
        QuantizedMatrix[] codes = [.. folder.Model.Linears.Select(layer => layer.Weight.Quantized!)];
        double effect = Distance(plain, adapted);
        Assert.InRange(effect, 0.02 * Norm(plain), double.MaxValue);
        PeftCheckpoint.Write(_temporary["adapter"], LoraInjection.Extract(folder.Model, config));

        LoraMerge.MergeOffsets(folder.Model);

        // The order of sums alone differs: 2⁻²⁴ a term, a hundred terms, two blocks.
        Assert.InRange(Distance(adapted, Logits(folder.Model)), 0, 2e-5 * Norm(adapted));
        Assert.All(folder.Model.Linears.Zip(codes), pair => Assert.Same(pair.Second, pair.First.Weight.Quantized));
        Write(folder, _temporary["merged"]);
        using ModelFolder merged = ModelFolder.Open(_temporary["merged"]);

        // An offset in float16 is 2⁻¹¹ of itself off at most, so that what the adapter does is not more than that off, and in float32 the rest.
        Assert.InRange(Distance(adapted, Logits(merged.Model)), 0, (effect / 2048) + (2e-5 * Norm(adapted)));
        foreach ((LinearLayer before, LinearLayer after) in folder.Model.Linears.Zip(merged.Model.Linears))
        {
            Assert.Equal(before.Weight.Quantized!.Dequantize(), after.Weight.Quantized!.Dequantize());
            float[] wanted = before.Weight.Offsets!.ToArray();
            float[] stored = after.Weight.Offsets!.ToArray();
            Assert.All(wanted.Zip(stored), pair => Assert.Equal((float)(Half)pair.First, pair.Second));
            Assert.InRange(wanted.Max(Math.Abs), 1e-4f, 1f);
        }

        LoraMerge.Unmerge(folder.Model);
        Assert.Equal(adapted, Logits(folder.Model));
    }

    [Fact]
    public void MergeOffsets_GivenAMergedBase_ShouldAddToItsOffsets()
    {
        using ModelFolder first = ModelFolder.Open(Base("gptq_b4_g64_sym"));
        Adapt(first.Model, 0);
        LoraMerge.MergeOffsets(first.Model);
        Write(first, _temporary["merged"]);
        using ModelFolder second = ModelFolder.Open(_temporary["merged"]);
        Adapt(second.Model, 0, seed: 5);
        float[] adapted = Logits(second.Model);
        float[][] sums = [.. second.Model.Linears.Select(LoraMerge.MergedWeight)];

        LoraMerge.MergeOffsets(second.Model);

        Assert.InRange(Distance(adapted, Logits(second.Model)), 0, 2e-5 * Norm(adapted));
        foreach ((float[] wanted, LinearLayer layer) in sums.Zip(second.Model.Linears))
        {
            Assert.All(wanted.Zip(layer.Weight.ToArray()), pair => Assert.Equal(pair.First, pair.Second, 1e-6f));
        }
    }

    [Fact]
    public void Merge_GivenADenseBase_ShouldGiveTheLogitsOfTheAdapter()
    {
        using ModelFolder quantized = ModelFolder.Open(Base("gptq_b4_g64_sym"));
        LoraConfig config = Adapt(quantized.Model, 0);
        PeftCheckpoint.Write(_temporary["adapter"], LoraInjection.Extract(quantized.Model, config));
        float[] adapted = Logits(quantized.Model);
        using ModelFolder dense = ModelFolder.Open(Base("gptq_b4_g64_sym"));
        foreach (LinearLayer layer in dense.Model.Linears)
        {
            layer.ReplaceWeight(new WeightMatrix(Tensor.From(layer.Weight.ToArray(), new Shape(layer.Weight.OutDim, layer.Weight.InDim))));
        }

        LoraConfig read = LoraInjection.Load(dense.Model, _temporary["adapter"]);
        Assert.InRange(Distance(adapted, Logits(dense.Model)), 0, 2e-5 * Norm(adapted));
        LoraMerge.Merge(dense.Model);
        Assert.InRange(Distance(adapted, Logits(dense.Model)), 0, 2e-5 * Norm(adapted));
        Assert.Equal((true, config.QaLoraGroupSize), (read.UseQaLora, read.QaLoraGroupSize));
    }

    [Fact]
    public void Write_GivenAnAdapter_ShouldHoldPeftsKeysAndShapes()
    {
        using ModelFolder folder = ModelFolder.Open(Base("gptq_b4_g64_sym"));
        LoraConfig config = Adapt(folder.Model, 0);
        PeftCheckpoint.Write(_temporary["adapter"], LoraInjection.Extract(folder.Model, config));

        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(_temporary["adapter"], "adapter_config.json")));
        Assert.True(document.RootElement.GetProperty("use_qalora").GetBoolean());
        Assert.Equal(64, document.RootElement.GetProperty("qalora_group_size").GetInt32());
        Assert.Equal(document.RootElement.EnumerateObject().Select(property => property.Name).Order(StringComparer.Ordinal), document.RootElement.EnumerateObject().Select(property => property.Name));
        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(_temporary["adapter"], "adapter_model.safetensors"));
        Assert.Equal([4L, 2L], file.Info(PeftAdapter.NameOfA("model.layers.0.self_attn.q_proj")).Shape);
        Assert.DoesNotContain("qalora", PeftConfigFile.Write(new LoraConfig()), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("qalora_group_size", "48", "does not divide")]
    [InlineData("qalora_group_size", "0", "qalora_group_size")]
    [InlineData("qalora_group_size", "\"a\"", "qalora_group_size")]
    [InlineData("qalora_group_size", "32", "lora_A.weight")]
    [InlineData("use_qalora", "1", "use_qalora")]
    [InlineData("use_qalora", "false", "lora_A.weight")]
    public void Load_GivenADamagedAdapter_ShouldNameTheCulprit(string key, string value, string culprit)
    {
        using ModelFolder folder = ModelFolder.Open(Base("gptq_b4_g64_sym"));
        LoraConfig config = Adapt(folder.Model, 0);
        PeftCheckpoint.Write(_temporary["adapter"], LoraInjection.Extract(folder.Model, config));
        string path = Path.Combine(_temporary["adapter"], "adapter_config.json");
        JsonNode json = JsonNode.Parse(File.ReadAllText(path))!;
        json[key] = JsonNode.Parse(value);
        File.WriteAllText(path, json.ToJsonString());

        UserErrorException error = Assert.Throws<UserErrorException>(() => ModelFolder.Open(Base("gptq_b4_g64_sym"), _temporary["adapter"]));
        Assert.Contains(culprit, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ForBase_GivenBasesWithoutGroups_ShouldSayWhy()
    {
        foreach ((QuantizedMatrix? matrix, string reason) in new (QuantizedMatrix?, string)[]
        {
            (null, "not quantised"),
            (Matrix(-1), "one group a row"),
            (Matrix(48), "shorter"),
            (Matrix(32), "groups of 32, the adapter of 64"),
            (Matrix(64, scattered: true), "act-order"),
            (QuantizedMatrix.FromStream(128, 128, 64, new byte[8192], new float[256], CodeBook.NormalFloat4), "no zero points"),
        })
        {
            using ModelFolder folder = ModelFolder.Open(Base("gptq_b4_g64_sym"));
            LinearLayer layer = folder.Model.Linears.Single(linear => linear.Name == "model.layers.1.self_attn.o_proj");
            layer.ReplaceWeight(matrix is null ? new WeightMatrix(Tensor.Create(new Shape(128, 128))) : new WeightMatrix(matrix));
            LoraConfig config = new() { Rank = 4, UseQaLora = true, TargetModules = ["q_proj", "o_proj"] };

            string message = Assert.Throws<UserErrorException>(() => LoraInjection.ForBase(folder.Model, config)).Message;
            Assert.Contains(reason, message, StringComparison.Ordinal);
            Assert.Contains(layer.Name, message, StringComparison.Ordinal);
            Assert.Throws<UserErrorException>(() => LoraInjection.Inject(folder.Model, config with { QaLoraGroupSize = 64 }, seed: 1));
        }
    }

    [Fact]
    public void MergeOffsets_GivenAdaptersThatDoNotFit_ShouldRefuseAndMergeNothing()
    {
        foreach ((LoraConfig config, string reason) in new[]
        {
            (new LoraConfig { Rank = 4 }, "plain LoRA"),
            (new LoraConfig { Rank = 4, UseQaLora = true, QaLoraGroupSize = 32 }, "pools 32"),
        })
        {
            using ModelFolder folder = ModelFolder.Open(Base("gptq_b4_g64_sym"));
            LinearLayer layer = folder.Model.Linears.Single(linear => linear.Name == "model.layers.1.self_attn.o_proj");
            Adapt(folder.Model, 0);
            layer.Adapter = LoraAdapter.Initialize(128, 128, 4, 1f, 0f, new RandomState(1), config.GroupSize);
            Assert.Contains(reason, Assert.Throws<UserErrorException>(() => LoraMerge.MergeOffsets(folder.Model)).Message, StringComparison.Ordinal);
            Assert.DoesNotContain(folder.Model.Linears, linear => linear.IsMerged);
        }
    }

    private static QuantizedMatrix Matrix(int groupSize, bool scattered = false)
    {
        int groups = groupSize < 0 ? 1 : (128 + groupSize - 1) / groupSize;
        return QuantizedMatrix.FromCodes(
            128, 128, 4, groupSize, new byte[128 * 128], new float[128 * groups], new byte[128 * groups], scattered ? [.. Enumerable.Range(0, 128).Select(i => i % 2)] : []);
    }

    private static string Base(string name) => RepositoryPaths.Fixture("quantization", "checkpoints", name);

    /// <summary>Adapters on every layer whose B is not zero; 0 takes the base's groups.</summary>
    private static LoraConfig Adapt(LlamaModel model, int groupSize, ulong seed = 3)
    {
        LoraConfig config = LoraInjection.ForBase(model, new LoraConfig { Rank = 4, Alpha = 8, TargetPattern = LoraConfig.AllLinear, UseQaLora = true });
        config = groupSize == 0 ? config : config with { QaLoraGroupSize = groupSize };
        RandomState random = new(seed);
        foreach (LinearLayer layer in model.Linears)
        {
            LoraAdapter adapter = LoraAdapter.Initialize(layer.Weight.OutDim, layer.Weight.InDim, 4, 2f, 0f, random, config.QaLoraGroupSize);
            ulong key = random.NextKey();
            Span<float> values = adapter.B.Floats;
            for (int i = 0; i < values.Length; i++)
            {
                values[i] = RandomState.Uniform(key, i) - 0.5f;
            }

            layer.Adapter = adapter;
        }

        return config;
    }

    private static void Write(ModelFolder folder, string path)
    {
        GptqConfig settings = folder.Checkpoint.Config.Quantization is AwqConfig awq ? awq.ToGptq() : (GptqConfig)folder.Checkpoint.Config.Quantization!;
        GptqCheckpoint.Write(
            path,
            folder.Checkpoint,
            settings,
            folder.Model.Linears.ToDictionary(layer => layer.Name, layer => layer.Weight.Quantized!),
            offsets: folder.Model.Linears.ToDictionary(layer => layer.Name, layer => layer.Weight.Offsets!));
    }

    private static float[] Logits(LlamaModel model)
    {
        using CpuBackend backend = new(threads: 2);
        using ComputeScope scope = new(backend) { Precision = Precision.Float32 };
        return model.Logits(scope, model.Forward(scope, ModelInput.Rows(scope, Ids, Ids.Length))).ToArray();
    }

    private static double Norm(float[] values) => Math.Sqrt(values.Sum(value => (double)value * value));

    private static double Distance(float[] left, float[] right) => Math.Sqrt(left.Zip(right, (l, r) => ((double)l - r) * (l - r)).Sum());
}
