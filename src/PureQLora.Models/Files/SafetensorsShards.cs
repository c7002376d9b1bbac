using System.Text.Json;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>The safetensors files of a checkpoint folder: one file, or shards held against their index.</summary>
internal sealed class SafetensorsShards : IDisposable
{
    private const string SingleName = "model.safetensors";
    private const string IndexName = "model.safetensors.index.json";

    private readonly List<SafetensorsFile> _files = [];
    private readonly Dictionary<string, SafetensorsFile> _owners = new(StringComparer.Ordinal);

    private SafetensorsShards()
    {
    }

    /// <summary>All tensors, sorted by name.</summary>
    public IEnumerable<string> Names => _owners.Keys.Order(StringComparer.Ordinal);

    /// <summary>Opens the files of a folder.</summary>
    public static SafetensorsShards Open(string folder)
    {
        SafetensorsShards shards = new();
        try
        {
            string single = Path.Combine(folder, SingleName);
            string index = Path.Combine(folder, IndexName);
            if (File.Exists(single))
            {
                shards.Add(single);
            }
            else if (File.Exists(index))
            {
                shards.AddIndexed(folder, index);
            }
            else
            {
                throw new UserErrorException(
                    $"{folder} has neither {SingleName} nor {IndexName}; point to a folder with a Hugging Face checkpoint in safetensors (pickled .bin files are not read).");
            }
        }
        catch
        {
            shards.Dispose();
            throw;
        }

        return shards;
    }

    /// <summary>The file that holds the tensor, or null.</summary>
    public SafetensorsFile? FileOf(string name) => _owners.GetValueOrDefault(name);

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (SafetensorsFile file in _files)
        {
            file.Dispose();
        }
    }

    private SafetensorsFile Add(string path)
    {
        SafetensorsFile file = SafetensorsFile.Open(path);
        _files.Add(file);
        foreach (string name in file.Names)
        {
            if (!_owners.TryAdd(name, file))
            {
                throw new UserErrorException($"Tensor \"{name}\" is both in {_owners[name].Path} and in {path}; download the checkpoint again.");
            }
        }

        return file;
    }

    private void AddIndexed(string folder, string index)
    {
        JsonFields fields = new(JsonFile.ReadObject(index), index);
        JsonElement map = fields.Find("weight_map") ?? throw new UserErrorException($"{index}: \"weight_map\" is missing; it must map each tensor to its file.");
        if (map.ValueKind != JsonValueKind.Object)
        {
            throw fields.Wrong("weight_map", map, "an object that maps each tensor to its file");
        }

        Dictionary<string, string> shardOf = new(StringComparer.Ordinal);
        foreach (JsonProperty entry in map.EnumerateObject())
        {
            string? shard = entry.Value.ValueKind == JsonValueKind.String ? entry.Value.GetString() : null;
            shardOf.Add(entry.Name, IsPlainFileName(shard)
                ? shard!
                : throw new UserErrorException($"{index}: the file of \"{entry.Name}\" is {entry.Value.GetRawText()}, allowed are names of safetensors files in the same folder."));
        }

        foreach (string shard in shardOf.Values.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal))
        {
            string path = Path.Combine(folder, shard);
            if (!File.Exists(path))
            {
                throw new UserErrorException($"{path} is missing, but {IndexName} lists it; download the checkpoint again.");
            }

            foreach (string name in Add(path).Names)
            {
                if (!shardOf.TryGetValue(name, out string? listed) || listed != shard)
                {
                    throw new UserErrorException(
                        $"{path} holds the tensor \"{name}\", but {IndexName} lists it {(listed is null ? "nowhere" : $"in {listed}")}; download the checkpoint again.");
                }
            }
        }

        foreach ((string name, string shard) in shardOf)
        {
            if (!_owners.ContainsKey(name))
            {
                throw new UserErrorException($"{Path.Combine(folder, shard)} lacks the tensor \"{name}\" that {IndexName} lists in it; download the checkpoint again.");
            }
        }
    }

    private static bool IsPlainFileName(string? name) =>
        name is not null && name.EndsWith(".safetensors", StringComparison.Ordinal) && !name.StartsWith('.')
        && name.AsSpan().IndexOfAny("/\\:\0") < 0;
}
