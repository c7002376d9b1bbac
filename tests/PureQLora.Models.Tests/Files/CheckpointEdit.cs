namespace PureQLora.Models.Tests;

/// <summary>Changes single tensors of a checkpoint folder.</summary>
internal static class CheckpointEdit
{
    /// <summary>Writes the file again, in place of one tensor what <paramref name="add"/> adds.</summary>
    public static void Replace(string folder, string tensor, Action<SafetensorsWriter, SafetensorsInfo> add)
    {
        string path = Path.Combine(folder, "model.safetensors");
        using SafetensorsFile file = SafetensorsFile.Open(path);
        SafetensorsWriter writer = new();
        foreach (string name in file.Names.Where(name => name != tensor))
        {
            SafetensorsInfo info = file.Info(name);
            writer.AddBytes(name, info.Type, file.ReadBytes(name), [.. info.Shape]);
        }

        add(writer, file.Info(tensor));
        writer.Write(path);
    }
}
