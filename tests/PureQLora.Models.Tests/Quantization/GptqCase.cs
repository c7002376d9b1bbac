using System.Text.Json;

namespace PureQLora.Models.Tests;

/// <summary>One golden case: its problem, its options and what the float64 reference made of it.</summary>
internal sealed class GptqCase
{
    private static readonly JsonElement Index = JsonDocument.Parse(File.ReadAllBytes(RepositoryPaths.Fixture("quantization", "gptq", "cases.json"))).RootElement;

    private readonly string _suffix;

    public GptqCase(string name, GridVariant variant)
    {
        JsonElement entry = Index.GetProperty("cases").GetProperty(name);
        _suffix = variant == GridVariant.Current ? "" : "_block_start";
        ProblemName = entry.GetProperty("problem").GetString()!;
        Problem = Read("problem_" + ProblemName);
        Expected = Read(name);
        Weights = Problem.Floats("W");
        Hessian = Problem.Doubles("H");
        Rows = (int)Problem.Shape("W")[0];
        Columns = (int)Problem.Shape("W")[1];
        NearestLoss = entry.GetProperty("proxy_loss_rtn").GetDouble();
        Loss = entry.GetProperty(variant == GridVariant.Current ? "current" : "block_start").GetProperty("proxy_loss_gptq").GetDouble();
        Options = new GptqOptions
        {
            Bits = entry.GetProperty("bits").GetInt32(),
            GroupSize = entry.GetProperty("group_size").GetInt32(),
            Symmetric = entry.GetProperty("symmetric").GetBoolean(),
            ActOrder = entry.TryGetProperty("act_order", out JsonElement actOrder) && actOrder.GetBoolean(),
            StaticGroups = entry.TryGetProperty("static_groups", out JsonElement staticGroups) && staticGroups.GetBoolean(),
            Damping = entry.GetProperty("percdamp").GetDouble(),
            BlockSize = entry.GetProperty("block_size").GetInt32(),
            GridVariant = variant,
            Float16Scales = false,
        };
    }

    public string ProblemName { get; }

    public GoldenTensors Problem { get; }

    public GoldenTensors Expected { get; }

    public GptqOptions Options { get; }

    public float[] Weights { get; }

    public double[] Hessian { get; }

    public int Rows { get; }

    public int Columns { get; }

    public double Loss { get; }

    public double NearestLoss { get; }

    public byte[] Codes => Expected.Bytes("codes" + _suffix);

    public double[] Scales => Expected.Doubles("scales" + _suffix);

    public byte[] Zeros => Expected.Bytes("zeros" + _suffix);

    /// <summary>The row whose weights all lie on ties or on no grid at all, so that rounding noise decides (README of the golden values).</summary>
    public int? UndecidedRow => ProblemName == "special_rows" ? (Options.Symmetric ? 2 : 0) : null;

    /// <summary>All cases with each grid variant they have.</summary>
    public static TheoryData<string, GridVariant> All()
    {
        var data = new TheoryData<string, GridVariant>();
        foreach (JsonProperty entry in Index.GetProperty("cases").EnumerateObject())
        {
            data.Add(entry.Name, GridVariant.Current);
            if (entry.Value.TryGetProperty("block_start", out _))
            {
                data.Add(entry.Name, GridVariant.BlockStart);
            }
        }

        return data;
    }

    /// <summary>A golden file of the gptq folder: from the fixtures where it is small, else from the shared data.</summary>
    public static GoldenTensors Read(string name)
    {
        string fixture = RepositoryPaths.Fixture("quantization", "gptq", name + ".safetensors");
        return GoldenTensors.Read(File.Exists(fixture) ? fixture : RepositoryPaths.Shared("golden", "quantization", "gptq", name + ".safetensors"));
    }

    /// <summary>tr((W − Q) H (W − Q)ᵀ) of the rows that count, computed the slow way.</summary>
    public double LossOf(byte[] codes, double[] scales, byte[] zeros, Func<int, int> groupOf)
    {
        int groups = scales.Length / Rows;
        double loss = 0;
        for (int row = 0; row < Rows; row++)
        {
            if (row == UndecidedRow)
            {
                continue;
            }

            var error = new double[Columns];
            for (int column = 0; column < Columns; column++)
            {
                int group = (row * groups) + groupOf(column);
                error[column] = Weights[(row * Columns) + column] - (scales[group] * (codes[(row * Columns) + column] - zeros[group]));
            }

            for (int i = 0; i < Columns; i++)
            {
                for (int j = 0; j < Columns; j++)
                {
                    loss += error[i] * Hessian[(i * Columns) + j] * error[j];
                }
            }
        }

        return loss;
    }

    /// <summary>The share of equal elements in the rows that count.</summary>
    public double Agreement(byte[] expected, byte[] actual)
    {
        int equal = 0;
        int counted = 0;
        for (int i = 0; i < expected.Length; i++)
        {
            if (i / Columns != UndecidedRow)
            {
                counted++;
                equal += expected[i] == actual[i] ? 1 : 0;
            }
        }

        return (double)equal / counted;
    }
}
